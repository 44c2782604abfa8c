"""Makes a call's result: revision 0 once, and others that amend it when more is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.bot import BotConfig
from contracts.event import Event, EventType
from contracts.report import AgentJoined, Fact
from contracts.task import TaskKind
from sidecar import analysis, disposition, result
from sidecar.announce import announcements
from sidecar.recording import RecordingFolder
from sidecar.result import Findings, RecordingLink
from sidecar.secrecy import masked
from sidecar.store import calls, deliveries, events, recordings, tasks
from sidecar.store.calls import CallRow
from sidecar.store.events import Draft
from sidecar.store.tasks import TaskRow, TaskState


async def add(
    connection: AsyncConnection,
    row: CallRow,
    config: dict[str, Any],
    folder: RecordingFolder,
    now: datetime,
) -> None:
    """Store the next revision of an ended call's result and announce it, with all that is known.

    Args:
        connection: a transaction that has changed the call's row: two of them make no revision at
            the same time.
        row: the call.
        config: what it ran on, with its secrets as far as they are still there.
        folder: where its recording is linked.
        now: the time.
    """
    await events.hold_order(connection)
    before = await _newest(connection, row)
    facts = await events.facts(connection, row.tenant_id, row.call_id)
    opened = await tasks.of_call(connection, row.tenant_id, row.call_id)
    recording = await _recording(connection, row, facts, folder, now)
    outcome = result.build(row, facts, recording, findings_of(row, facts, opened))
    if before is not None:
        outcome.revision = before.data["revision"] + 1
        outcome.supersedes = before.id
    body = outcome.model_dump(mode="json")
    await calls.add_result(connection, row, outcome.revision, body, now)
    announced = Draft(
        call_id=row.call_id, bot_id=row.bot_id, type=EventType.CALL_RESULT, at=now, data=body
    )
    (result_id,) = await events.append(connection, row.tenant_id, [announced])
    for delivery in announcements(row, config, outcome, result_id, now):
        await deliveries.add(connection, delivery)


def at_rest(row: CallRow) -> CallRow:
    """Return a call after which nothing more is to come: without a deadline, without secrets."""
    return replace(row, config=masked(row.config), result_due_at=None)


def findings_of(row: CallRow, facts: Sequence[Fact], opened: Sequence[TaskRow]) -> Findings:
    """Return what has been found out about an ended call so far."""
    config = BotConfig.model_validate(row.config or {})
    ending = disposition.ending_of(row, facts)
    answers = {task.kind: task.result for task in opened if task.state == TaskState.DONE}
    found = answers.get(TaskKind.ANALYSIS)
    if found is None and disposition.is_analysed(ending):
        found = analysis.by_rules(config, facts)
    return Findings(
        analysis=found or disposition.automatic(ending, config.auto_dispositions),
        qc=answers.get(TaskKind.QC),
        failures={
            task.kind: (task.settled_at, task.error or "")
            for task in opened
            if task.state == TaskState.FAILED and task.settled_at is not None
        },
    )


async def _newest(connection: AsyncConnection, row: CallRow) -> Event | None:
    made = await events.after(
        connection, row.tenant_id, 0, call_id=row.call_id, types=[EventType.CALL_RESULT]
    )
    return made[-1] if made else None


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
    key = folder.key_of(row.session_id, row.call_id, row.answered_at)
    expected = await recordings.expect(
        connection, row.tenant_id, row.call_id, key, folder.token(), now
    )
    return folder.link(expected)
