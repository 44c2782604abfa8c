"""Whom a result is announced to, and in which words: pure, one delivery per destination."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from contracts.bot import PostCallPush
from contracts.result import CallResult
from sidecar import push
from sidecar.store.calls import CallRow
from sidecar.store.deliveries import Delivery, DeliveryState


def announcements(
    row: CallRow, config: dict[str, Any], outcome: CallResult, result_id: str, now: datetime
) -> list[Delivery]:
    """Return what is to be delivered, for the transaction that stores the result.

    Args:
        row: the call, ended.
        config: the bot's configuration as the call ran on it.
        outcome: its result, of any revision.
        result_id: the event that announces this revision; deliveries are named after it.
        now: the time.
    """
    announced = []
    if webhook_url := config.get("webhook_url", ""):
        body = outcome.model_dump_json()
        announced.append(_delivery(row, f"{result_id}-webhook", webhook_url, body, now))
    if (wanted := _push_of(config)) and push.is_wanted(wanted, row, outcome.revision):
        body = push.body_of(wanted, row, outcome, str(config.get("timezone", "")))
        made = _delivery(row, f"{result_id}-push", wanted.url, body, now)
        announced.append(replace(made, kind="push", method=wanted.method))
    return announced


def _push_of(config: dict[str, Any]) -> PostCallPush | None:
    found = config.get("post_call_push")
    return PostCallPush.model_validate(found) if found else None


def _delivery(row: CallRow, delivery_id: str, url: str, body: str, now: datetime) -> Delivery:
    return Delivery(
        delivery_id=delivery_id,
        tenant_id=row.tenant_id,
        call_id=row.call_id,
        bot_id=row.bot_id,
        url=url,
        body=body,
        state=DeliveryState.PENDING,
        attempt=0,
        created_at=now,
        due_at=now,
        settled_at=None,
        last_error=None,
    )
