"""What follows when a process that serves a call is gone: another agent, or the call's end.

Each loss is one transaction on the call's row, so that replicas that notice it together act once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import ids
from contracts.call import CallState
from contracts.event import EventType
from contracts.outcome import Reason
from contracts.report import LostJob, Noticed
from sidecar import dialling, progress
from sidecar.clock import Clock
from sidecar.metrics import Metrics
from sidecar.rooms import RoomError, Rooms
from sidecar.settings import Settings
from sidecar.store import calls, events
from sidecar.store.calls import BY_RULE, UNANSWERED, CallRow
from sidecar.store.database import Database
from sidecar.store.events import Draft
from sidecar.wake import Bells

log = structlog.get_logger(__name__)

MAX_REPLACED = 1
"""An agent is replaced once in a call. Whatever killed two would kill the third."""
SOURCE = "sidecar"
"""Who noticed, among the sources of a call's facts."""


class Losses:
    """Takes note of agents and bridges that died."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        settings: Settings,
        *,
        clock: Clock,
        bells: Bells,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._settings = settings
        self._clock = clock
        self._bells = bells
        self._metrics = metrics

    async def agent(
        self, tenant_id: str, lost: LostJob, *, is_gone: Callable[[], bool] = lambda: True
    ) -> None:
        """Let another agent go on with the call; end it where that has happened before.

        Nothing happens where the call has ended, or somebody else serves it already.

        Args:
            tenant_id: whose call it is.
            lost: the agent.
            is_gone: asked once the row is held, which a locked store may have taken seconds for.
        """

        async def work(connection: AsyncConnection) -> tuple[CallRow, CallRow] | None:
            row = await calls.get(connection, tenant_id, lost.call_id)
            if row is None or not _is_served_by(row, lost) or not is_gone():
                return None
            now = self._clock()
            if row.worker_id is None:
                # It died before it had the call: the next one is called for at once.
                return row, await calls.save(connection, row, replace(row, claim_due_at=now))
            after = await calls.save(connection, row, self._without_agent(row, now))
            noticed = Noticed(at=now, name="agent_lost", detail={"detail": lost.detail})
            await events.append(connection, tenant_id, [_draft(row, noticed)])
            await self._database.notify(connection)
            return row, after

        changed = await self._database.run(work)
        if changed is None:
            return
        before, after = changed
        if before.worker_id is None:
            self._bells.timers.ring()
            return
        self._metrics.agent_lost()
        self._bells.events.ring()
        log.warning(
            "agent_lost",
            call_id=lost.call_id,
            incarnation=lost.incarnation,
            detail=lost.detail,
            agents_lost=after.agents_lost,
        )
        if after.agents_lost > MAX_REPLACED:
            # The watch ends it: after a start not before its bridge has told what it kept.
            self._bells.timers.ring()
        else:
            await self._replace(before, after)

    async def bridge(self, seen: CallRow, *, is_gone: Callable[[], bool] = lambda: True) -> None:
        """End the phone's side of a call whose bridge is gone, and let its agent say what it knows.

        Nothing happens where the call has moved since it was seen, or the bridge is heard again.
        """

        async def work(connection: AsyncConnection) -> CallRow | None:
            row = await calls.get(connection, seen.tenant_id, seen.call_id)
            if row is None or row.is_ended or row.leg_ended or row.bridge_id != seen.bridge_id:
                return None
            if not is_gone():
                return None
            now = self._clock()
            is_unanswered = dialling.is_dialled(row) and row.state in UNANSWERED
            reason = Reason.DIAL_LOST if is_unanswered else Reason.BRIDGE_LOST
            gone = replace(row, leg_ended=True)
            gone = progress.ending(gone, reason, now, "its bridge is gone")
            gone = progress.settling(gone, now, self._settings.settle_s)
            noticed = Noticed(at=now, name="bridge_lost")
            saved = await calls.save(connection, row, gone)
            await events.append(connection, row.tenant_id, [_draft(row, noticed)])
            await self._database.notify(connection)
            return saved

        row = await self._database.run(work)
        if row is None:
            return
        log.warning("bridge_lost", call_id=row.call_id, bridge_id=row.bridge_id)
        self._bells.events.ring()
        self._bells.timers.ring()
        await self._send_out(row, row.caller_identity)

    async def room(self, tenant_id: str, room_name: str) -> None:
        """Let a call end whose room is no more, once both sides have had time to tell how."""

        async def work(connection: AsyncConnection) -> CallRow | None:
            row = await calls.live_in(connection, tenant_id, room_name)
            if row is None or row.settle_due_at is not None:
                return None
            now = self._clock()
            over = progress.ending(row, Reason.ROOM_LOST, now, "its room is gone")
            due_at = now + timedelta(seconds=self._settings.settle_s)
            return await calls.save(connection, row, replace(over, settle_due_at=due_at))

        row = await self._database.run(work)
        if row is not None:
            log.warning("room_lost", call_id=row.call_id)
            self._bells.timers.ring()

    async def participant(self, tenant_id: str, room_name: str, identity: str, reason: str) -> None:
        """Take LiveKit's word that somebody is gone: it matters if that is the call's agent."""
        async with self._database.read() as connection:
            row = await calls.live_in(connection, tenant_id, room_name)
        if row is not None and identity == identity_of_agent(row):
            lost = LostJob(call_id=row.call_id, incarnation=row.incarnation, detail=reason)
            await self.agent(tenant_id, lost)

    def _without_agent(self, row: CallRow, now: datetime) -> CallRow:
        due_at = now + timedelta(seconds=self._settings.claim_timeout_s)
        if row.agents_lost >= MAX_REPLACED:
            due_at = now
        return replace(
            row,
            incarnation=row.incarnation + 1,
            agent_seq=0,
            worker_id=None,
            agents_lost=row.agents_lost + 1,
            claim_due_at=due_at,
        )

    async def _replace(self, before: CallRow, after: CallRow) -> None:
        # The new one first: it is what the caller waits for. The old one is fenced already.
        try:
            await self._rooms.dispatch(after.room_name, after.call_id, after.incarnation)
        except RoomError as error:
            # The claim's time will run out, and the call is dispatched again.
            log.warning("dispatch_failed", call_id=after.call_id, error=str(error))
        await self._send_out(before, identity_of_agent(before))

    async def _send_out(self, row: CallRow, identity: str) -> None:
        try:
            await self._rooms.remove(row.room_name, identity)
        except RoomError as error:
            # It is dead or fenced; the server notices by itself, only later.
            log.warning("participant_not_removed", call_id=row.call_id, error=str(error))


def identity_of_agent(row: CallRow) -> str:
    """Return under which name the call's present agent is in its room."""
    if row.incarnation == 1 and row.standby_id:
        return ids.standby_identity(row.standby_id)
    if row.incarnation == 1 and row.leg_identity and row.idempotency_key.startswith(BY_RULE):
        # A rule called it into the room, before there was a call.
        return ids.room_agent_identity(row.room_name)
    return ids.agent_identity(row.call_id, row.incarnation)


def _is_served_by(row: CallRow, lost: LostJob) -> bool:
    """Return whether the call still counts on the agent that is lost."""
    if row.is_ended or row.incarnation != lost.incarnation or row.handed_off_at is not None:
        return False
    # In a transfer, and once one side has ended, nobody is missed any more.
    is_closing = row.agent_ended or row.leg_ended or row.state is CallState.TRANSFERRING
    return not is_closing


def _draft(row: CallRow, fact: Noticed) -> Draft:
    return Draft(
        call_id=row.call_id,
        bot_id=row.bot_id,
        type=EventType.NOTICE,
        at=fact.at,
        data=fact.model_dump(mode="json"),
        source=SOURCE,
        incarnation=row.incarnation,
        source_seq=1 if fact.name == "agent_lost" else 2,
    )
