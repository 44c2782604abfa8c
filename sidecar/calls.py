"""What happens to a planned call: agents claim it, facts are recorded, it finishes exactly once.

Every use case is one transaction. Rows change by compare-and-set, so two of them never overwrite
each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.event import EventType
from contracts.outcome import Reason
from contracts.plan import AgentPlan, Claim
from contracts.report import (
    Fact,
    LegEnded,
    Noticed,
    Report,
    ReportReceipt,
    Source,
)
from sidecar import dialling, ending, progress
from sidecar.briefing import agent_plan
from sidecar.capacity import FRESH
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.erasure import missing
from sidecar.keyring import Keyring
from sidecar.metrics import Metrics
from sidecar.prefetch import Prefetch
from sidecar.recording import RecordingFolder
from sidecar.settings import Settings
from sidecar.store import calls, events, workers
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.events import Draft
from sidecar.wake import Bells

log = structlog.get_logger(__name__)

START_PATIENCE = timedelta(seconds=8)
"""How long a call may wait for an agent that is known to be starting."""

_EVENT_TYPES = {
    "agent_joined": EventType.AGENT_JOINED,
    "transcript_line": EventType.TRANSCRIPT,
    "intent_found": EventType.INTENT,
    "tool_called": EventType.TOOL,
    "turn_measured": EventType.LATENCY,
    "transfer_started": EventType.TRANSFER,
    "transfer_sent": EventType.TRANSFER,
    "transfer_failed": EventType.TRANSFER,
    "recording_stored": EventType.RECORDING,
    "digit_pressed": EventType.DTMF,
    "digits_sent": EventType.DTMF,
    "leg_held": EventType.HOLD,
    "leg_resumed": EventType.HOLD,
}
"""Facts not named here are notices on the stream."""


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What came of a report: the facts that were new, and whether they ended the call."""

    receipt: ReportReceipt
    row: CallRow
    facts: list[Fact]
    has_ended: bool


class Calls:
    """The life of calls after planning."""

    def __init__(
        self,
        database: Database,
        folder: RecordingFolder,
        settings: Settings,
        *,
        clock: Clock,
        bells: Bells,
        prefetch: Prefetch,
        metrics: Metrics,
        keyring: Keyring,
    ) -> None:
        self._database = database
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._bells = bells
        self._prefetch = prefetch
        self._metrics = metrics
        self._keyring = keyring

    async def claim(self, tenant_id: str, call_id: str, claim: Claim) -> AgentPlan:
        """Give the call to an agent, or the same plan again to the agent that has it.

        The call is the agent's at once; the plan waits for the bot's CRM, if that is being asked.

        Raises:
            Denied: another agent has it, a newer incarnation is wanted, or it is over.
        """

        async def work(connection: AsyncConnection) -> AgentPlan:
            row = await _known(connection, tenant_id, call_id)
            if row.is_ended:
                raise Denied(Code.CALL_ENDED, "the call is over")
            _fence(row, claim.incarnation)
            if row.worker_id is None:
                row = await calls.save(
                    connection, row, replace(row, worker_id=claim.worker_id, claim_due_at=None)
                )
            elif row.worker_id != claim.worker_id:
                raise Denied(Code.ALREADY_CLAIMED, "another agent serves this incarnation")
            facts = await events.facts(connection, tenant_id, call_id)
            await self._keyring.load(tenant_id, row.config or {}, connection)
            return agent_plan(row, facts, self._keyring)

        plan = await self._database.run(work)
        if plan.is_provisional:
            await self._prefetch.settled(tenant_id, call_id)
            plan = await self._database.run(work)
        return plan

    async def record(self, tenant_id: str, call_id: str, report: Report) -> ReportReceipt:
        """Store the facts of a report that are new, and let them move the call.

        Raises:
            Denied: the reporter has been replaced, or facts before these are missing.
        """
        return await self._record(tenant_id, call_id, lambda _: report)

    async def note(self, tenant_id: str, call_id: str, *facts: Fact) -> ReportReceipt:
        """Store what the control plane itself learned of a leg that has no bridge to report it.

        Several may see one leg end, and the first to say so is believed.

        Raises:
            Denied: there is no such call.
        """

        def report(row: CallRow) -> Report | None:
            new = [fact for fact in facts if not (row.leg_ended and isinstance(fact, LegEnded))]
            seq = _applied_seq(row, Source.BRIDGE) + 1
            if not new:
                return None
            return Report(source=Source.BRIDGE, incarnation=1, seq=seq, facts=new)

        return await self._record(tenant_id, call_id, report)

    async def _record(
        self, tenant_id: str, call_id: str, report_on: Callable[[CallRow], Report | None]
    ) -> ReportReceipt:
        async def work(connection: AsyncConnection) -> _Recorded:
            before = await _known(connection, tenant_id, call_id)
            report = report_on(before)
            if report is None:
                receipt = ReportReceipt(applied_seq=_applied_seq(before, Source.BRIDGE))
                return _Recorded(receipt, before, [], has_ended=False)
            if report.source is Source.AGENT:
                _fence(before, report.incarnation)
            facts = _new_facts(before, report)
            if not facts:
                receipt = ReportReceipt(applied_seq=_applied_seq(before, report.source))
                return _Recorded(receipt, before, facts, has_ended=False)
            receipt, row = await self._apply(connection, before, report, facts)
            has_ended = row.is_ended and not before.is_ended
            return _Recorded(receipt, row, facts, has_ended)

        recorded = await self._database.run(work)
        receipt, row = recorded.receipt, recorded.row
        self._metrics.recorded(tenant_id, row.bot_id, recorded.facts)
        if recorded.has_ended:
            self._metrics.call_ended(row, row.end_reason)
        self._bells.events.ring()
        if dialling.is_readied(row, recorded.facts):
            self._bells.dials.ring()
        if row.is_ended:
            self._bells.ring_all()
        elif row.settle_due_at is not None:
            self._bells.timers.ring()
        return receipt

    async def finish(self, seen: CallRow, reason: Reason | None, detail: str = "") -> bool:
        """End a call whose time is up; without a reason, by the earliest ending known.

        Args:
            seen: the row by which its time was up; if it has moved since, nothing happens.
            reason: why it ends.
            detail: what to tell a person beside the reason.

        Returns:
            Whether this ended it.
        """

        async def work(connection: AsyncConnection) -> CallRow | None:
            before = await _known(connection, seen.tenant_id, seen.call_id)
            if (before.version, before.expires_at) != (seen.version, seen.expires_at):
                return None
            now = self._clock()
            row = before if reason is None else progress.ending(before, reason, now, detail)
            deadline_s = self._settings.aftercall_deadline_s
            ended = await ending.close(
                connection, before, row, self._folder, now, deadline_s=deadline_s
            )
            await self._database.notify(connection)
            return ended

        ended = await self._database.run(work)
        if ended is not None:
            self._metrics.call_ended(ended, ended.end_reason)
            self._bells.ring_all()
            log.info("call_finished", call_id=seen.call_id, reason=reason)
        return ended is not None

    async def give_time(self, seen: CallRow) -> bool:
        """Give an agent that has the call but has not claimed it yet more time, if there is one.

        A busy host takes its time to start a job; another one would only make it busier.

        Returns:
            Whether there is one, and its time is not up.
        """

        async def work(connection: AsyncConnection) -> bool:
            now = self._clock()
            row = await _known(connection, seen.tenant_id, seen.call_id)
            if row.version != seen.version:
                return False
            if now >= await _wanted_since(connection, row) + START_PATIENCE:
                return False
            hosts = await workers.listed(connection, row.tenant_id, now - FRESH)
            if not any(row.call_id in host.calls for host in hosts if host.kind == "agent"):
                return False
            due_at = now + timedelta(seconds=self._settings.claim_timeout_s)
            await calls.save(connection, row, replace(row, claim_due_at=due_at))
            return True

        return await self._database.run(work)

    async def raise_incarnation(self, seen: CallRow) -> int | None:
        """Let a new agent take a call that nobody claimed, and shut out whoever comes late.

        Returns:
            The new incarnation to dispatch; None if the row has moved since it was seen.
        """

        async def work(connection: AsyncConnection) -> int | None:
            row = await _known(connection, seen.tenant_id, seen.call_id)
            if row.version != seen.version:
                return None
            due_at = self._clock() + timedelta(seconds=self._settings.claim_timeout_s)
            raised = replace(row, incarnation=row.incarnation + 1, agent_seq=0, claim_due_at=due_at)
            return (await calls.save(connection, row, raised)).incarnation

        return await self._database.run(work)

    async def _apply(
        self, connection: AsyncConnection, before: CallRow, report: Report, facts: list[Fact]
    ) -> tuple[ReportReceipt, CallRow]:
        now = self._clock()
        first_seq = _applied_seq(before, report.source) + 1
        row = before
        drafts: list[Draft] = []
        for source_seq, fact in enumerate(facts, start=first_seq):
            drafts.append(_fact_draft(row, fact, report, source_seq))
            moved = progress.apply(row, fact, max_room_s=self._settings.max_room_s)
            if moved.state is not row.state:
                drafts.append(_state_draft(moved, row, fact))
            if moved.illegal_events > row.illegal_events:
                log.warning("illegal_event", call_id=row.call_id, state=row.state, fact=fact.type)
            row = moved
        applied_seq = first_seq + len(facts) - 1
        row = _with_applied(row, report.source, applied_seq)
        row = await dialling.follow(connection, row, facts, now)
        is_over = not row.is_ended and progress.is_complete(row)
        if is_over:
            deadline_s = self._settings.aftercall_deadline_s
            row = await ending.close(
                connection, before, row, self._folder, now, drafts, deadline_s=deadline_s
            )
            log.info("call_ended", call_id=row.call_id, reason=row.end_reason)
        else:
            row = progress.settling(row, now, self._settings.settle_s)
            row = await calls.save(connection, before, row)
            await events.append(connection, row.tenant_id, drafts)
        await self._database.notify(connection)
        if dialling.is_readied(row, facts):
            await self._database.notify_dials(connection)
        return ReportReceipt(applied_seq=applied_seq), row


async def _known(connection: AsyncConnection, tenant_id: str, call_id: str) -> CallRow:
    row = await calls.get(connection, tenant_id, call_id)
    if row is None:
        raise await missing(connection, tenant_id, call_id)
    return row


def _fence(row: CallRow, incarnation: int) -> None:
    if incarnation != row.incarnation:
        raise Denied(
            Code.STALE_INCARNATION,
            "another incarnation serves the call; leave it",
            details={"incarnation": row.incarnation},
        )


async def _wanted_since(connection: AsyncConnection, row: CallRow) -> datetime:
    """Return since when the call waits for an agent: its planning, or the loss of the last one."""
    if not row.agents_lost:
        return row.planned_at
    facts = await events.facts(connection, row.tenant_id, row.call_id)
    lost_at = (fact.at for fact in facts if isinstance(fact, Noticed) and fact.name == "agent_lost")
    return max(lost_at, default=row.planned_at)


def _applied_seq(row: CallRow, source: Source) -> int:
    return row.agent_seq if source is Source.AGENT else row.bridge_seq


def _with_applied(row: CallRow, source: Source, seq: int) -> CallRow:
    if source is Source.AGENT:
        return replace(row, agent_seq=seq)
    return replace(row, bridge_seq=seq)


def _new_facts(row: CallRow, report: Report) -> list[Fact]:
    applied_seq = _applied_seq(row, report.source)
    if report.seq > applied_seq + 1:
        raise Denied(
            Code.GAP,
            "facts before these are missing; send from applied_seq + 1",
            details={"applied_seq": applied_seq},
        )
    return report.facts[applied_seq + 1 - report.seq :]


def _fact_draft(row: CallRow, fact: Fact, report: Report, source_seq: int) -> Draft:
    return Draft(
        call_id=row.call_id,
        bot_id=row.bot_id,
        type=_EVENT_TYPES.get(fact.type, EventType.NOTICE),
        at=fact.at,
        data=fact.model_dump(mode="json"),
        source=report.source,
        incarnation=report.incarnation,
        source_seq=source_seq,
    )


def _state_draft(row: CallRow, before: CallRow, fact: Fact) -> Draft:
    return Draft(
        call_id=row.call_id,
        bot_id=row.bot_id,
        type=EventType.CALL_STATE,
        at=fact.at,
        data={"state": row.state, "previous": before.state},
    )
