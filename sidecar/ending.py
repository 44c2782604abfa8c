"""Ends a call for good: last state, result and its announcement, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.event import EventType
from contracts.report import AgentJoined, Fact
from sidecar import progress, result
from sidecar.announce import announcements
from sidecar.recording import RecordingFolder
from sidecar.result import RecordingLink
from sidecar.secrecy import masked
from sidecar.store import calls, deliveries, events, recordings
from sidecar.store.calls import CallRow
from sidecar.store.events import Draft

REVISION = 0


async def close(
    connection: AsyncConnection,
    before: CallRow,
    row: CallRow,
    folder: RecordingFolder,
    now: datetime,
    reported: Sequence[Draft] = (),
) -> CallRow:
    """Store the call ended, with its result and, where the bot wants it, the delivery of it.

    Args:
        connection: the transaction.
        before: the row as it was read.
        row: the row with everything applied that was reported.
        folder: where its recording is linked.
        now: the time.
        reported: facts that are not stored yet.
    """
    ended = progress.close(row, now)
    # The row comes first: whoever else ends the call waits here, and finds it ended.
    saved = await calls.save(connection, before, replace(ended, config=masked(row.config)))
    await events.hold_order(connection)
    await events.append(connection, row.tenant_id, reported)
    facts = await events.facts(connection, row.tenant_id, row.call_id)
    outcome = result.build(ended, facts, await _recording(connection, row, facts, folder, now))
    body = outcome.model_dump(mode="json")
    await calls.add_result(connection, saved, REVISION, body, now)
    *_, result_id = await events.append(
        connection,
        row.tenant_id,
        [
            _draft(saved, EventType.CALL_STATE, now, state=saved.state, previous=before.state),
            _draft(
                saved,
                EventType.CALL_ENDED,
                now,
                reason=saved.end_reason,
                detail=saved.end_detail,
                disconnected_by=outcome.disconnected_by,
                call_duration_seconds=outcome.call_duration_seconds,
            ),
            _draft(saved, EventType.CALL_RESULT, now, **body),
        ],
    )
    for announced in announcements(saved, row.config or {}, outcome, result_id, now):
        await deliveries.add(connection, announced)
    return saved


async def _recording(
    connection: AsyncConnection,
    row: CallRow,
    facts: Sequence[Fact],
    folder: RecordingFolder,
    now: datetime,
) -> RecordingLink | None:
    # The agent uploads after it has left, so the link is given out before the file is there.
    if row.answered_at is None or not any(isinstance(fact, AgentJoined) for fact in facts):
        return None
    key = folder.key_of(row.session_id, row.call_id)
    expected = await recordings.expect(
        connection, row.tenant_id, row.call_id, key, folder.token(), now
    )
    return folder.link(expected)


def _draft(row: CallRow, type_: EventType, at: datetime, **data: object) -> Draft:
    return Draft(call_id=row.call_id, bot_id=row.bot_id, type=type_, at=at, data=data)
