"""Ends a call for good: last state, result and its announcement, in one transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.event import EventType
from contracts.report import AgentJoined
from sidecar import progress, result
from sidecar.recording import RecordingFolder
from sidecar.secrecy import masked
from sidecar.store import calls, deliveries, events, recordings
from sidecar.store.calls import CallRow
from sidecar.store.deliveries import Delivery, DeliveryState
from sidecar.store.events import Draft

REVISION = 0


async def close(
    connection: AsyncConnection,
    before: CallRow,
    row: CallRow,
    folder: RecordingFolder,
    now: datetime,
) -> CallRow:
    """Store the call ended, with its result and, where the bot wants it, the delivery of it.

    Args:
        connection: the transaction; the facts of the call are in it already.
        before: the row as it was read.
        row: the row with everything applied that was reported.
        folder: where its recording is linked.
        now: the time.
    """
    ended = progress.close(row, now)
    facts = await events.facts(connection, row.tenant_id, row.call_id)
    link = None
    # The agent uploads after it has left, so the link is given out before the file is there.
    if row.answered_at is not None and any(isinstance(fact, AgentJoined) for fact in facts):
        key = folder.key_of(row.session_id, row.call_id)
        expected = await recordings.expect(
            connection, row.tenant_id, row.call_id, key, folder.token(), now
        )
        link = folder.link(expected)
    outcome = result.build(ended, facts, link)
    webhook_url = (row.config or {}).get("webhook_url", "")
    ended = await calls.save(connection, before, replace(ended, config=masked(row.config)))
    await calls.add_result(connection, ended, REVISION, outcome.model_dump(mode="json"), now)
    *_, result_id = await events.append(
        connection,
        row.tenant_id,
        [
            _draft(ended, EventType.CALL_STATE, now, state=ended.state, previous=before.state),
            _draft(
                ended,
                EventType.CALL_ENDED,
                now,
                reason=ended.end_reason,
                detail=ended.end_detail,
                disconnected_by=outcome.disconnected_by,
                call_duration_seconds=outcome.call_duration_seconds,
            ),
            _draft(ended, EventType.CALL_RESULT, now, **outcome.model_dump(mode="json")),
        ],
    )
    if webhook_url:
        delivery = Delivery(
            delivery_id=f"{result_id}-webhook",
            tenant_id=row.tenant_id,
            call_id=row.call_id,
            bot_id=row.bot_id,
            url=webhook_url,
            body=outcome.model_dump_json(),
            state=DeliveryState.PENDING,
            attempt=0,
            created_at=now,
            due_at=now,
            settled_at=None,
            last_error=None,
        )
        await deliveries.add(connection, delivery)
    return ended


def _draft(row: CallRow, type_: EventType, at: datetime, **data: object) -> Draft:
    return Draft(call_id=row.call_id, bot_id=row.bot_id, type=type_, at=at, data=data)
