"""Ends a call for good, and makes its result or opens the questions it waits for: in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.bot import BotConfig
from contracts.event import EventType
from contracts.outcome import Reason, outcome
from sidecar import analysis, dialling, disposition, exotel_hang_up, progress, revision
from sidecar.recording import RecordingFolder
from sidecar.store import calls, deliveries, events, tasks
from sidecar.store.calls import CallRow
from sidecar.store.events import Draft
from sidecar.store.tasks import TaskRow


async def close(
    connection: AsyncConnection,
    before: CallRow,
    row: CallRow,
    folder: RecordingFolder,
    now: datetime,
    reported: Sequence[Draft] = (),
    *,
    deadline_s: float,
) -> CallRow:
    """Store the call ended, and with it its result, or what the result waits for.

    Args:
        connection: the transaction.
        before: the row as it was read.
        row: the row with everything applied that was reported.
        folder: where its recording is linked.
        now: the time.
        reported: facts that are not stored yet.
        deadline_s: how long the result waits for answers of the bot's language model.
    """
    config = BotConfig.model_validate(row.config or {})
    asked = analysis.asks(config)
    ended = progress.close(row, now)
    # The row comes first: whoever else ends the call waits here, and finds it ended.
    saved = await calls.save(connection, before, ended if asked else revision.at_rest(ended))
    await dialling.close(connection, saved, now)
    if hang_up := exotel_hang_up.delivery_of(saved, config, now):
        await deliveries.add(connection, hang_up)
    await events.append(connection, row.tenant_id, [*reported, *_told(saved, before.state, now)])
    if asked:
        facts = await events.facts(connection, row.tenant_id, row.call_id)
        if disposition.is_analysed(disposition.ending_of(saved, facts)):
            for kind in asked:
                await tasks.add(connection, _task(saved, kind, now))
            due_at = now + timedelta(seconds=deadline_s)
            return await calls.save(connection, saved, replace(saved, result_due_at=due_at))
        saved = await calls.save(connection, saved, revision.at_rest(saved))
    await revision.add(connection, saved, row.config or {}, folder, now)
    return saved


def _told(row: CallRow, previous: str, now: datetime) -> list[Draft]:
    reason = row.end_reason or Reason.ABANDONED
    return [
        _draft(row, EventType.CALL_STATE, now, state=row.state, previous=previous),
        _draft(
            row,
            EventType.CALL_ENDED,
            now,
            reason=reason,
            detail=row.end_detail,
            disconnected_by=outcome(reason).disconnected_by,
            call_duration_seconds=round(row.call.duration_s, 3),
        ),
    ]


def _draft(row: CallRow, type_: EventType, at: datetime, **data: object) -> Draft:
    return Draft(call_id=row.call_id, bot_id=row.bot_id, type=type_, at=at, data=data)


def _task(row: CallRow, kind: str, now: datetime) -> TaskRow:
    return TaskRow(
        task_id=f"{row.call_id}-{kind}",
        tenant_id=row.tenant_id,
        call_id=row.call_id,
        bot_id=row.bot_id,
        kind=kind,
        created_at=now,
        due_at=now,
    )
