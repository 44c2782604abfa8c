"""Whom a result is announced to, and in which words: pure, one delivery per destination."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contracts.result import CallResult
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
    webhook_url = config.get("webhook_url", "")
    if not webhook_url:
        return []
    body = outcome.model_dump_json()
    return [_delivery(row, f"{result_id}-webhook", webhook_url, body, now)]


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
