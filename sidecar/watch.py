"""Does what is due on calls when nobody reports: unclaimed, unsettled, expired, rooms left open.

All timers are columns of call rows, so a restart or another replica simply goes on. Whoever serves
a call and falls silent is missed here, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from contracts.outcome import Reason
from contracts.report import LostJob
from sidecar import dialling
from sidecar.aftercall import Aftercall
from sidecar.calls import Calls
from sidecar.capacity import FRESH
from sidecar.clock import Clock
from sidecar.hearing import Hearing
from sidecar.loss import MAX_REPLACED, Losses
from sidecar.recovery import Recovery
from sidecar.rooms import RoomError, Rooms
from sidecar.settings import Settings
from sidecar.steady import Steady
from sidecar.store import calls as call_rows
from sidecar.store import workers
from sidecar.store.calls import UNANSWERED, CallRow
from sidecar.store.database import Database
from sidecar.store.workers import WorkerRow
from sidecar.wake import Wake

log = structlog.get_logger(__name__)

MAX_UNCLAIMED_INCARNATIONS = 2
ROOM_RETRY = timedelta(seconds=5)
JUMP_GRACE = timedelta(seconds=30)
"""What every timer is given where the clock was set, or this process stood still."""
OVERTIME_STEP = timedelta(seconds=30)
REMEMBERED = timedelta(days=1)
"""How long a worker that has gone may still come back with what it kept."""
LONGEST_WAIT_S = 1.0
LEAST_WAIT_S = 0.25
"""Between looks while calls are held back whose timers have run out."""
IN_HAND_S = 1.0
"""How long a look waits for what it began; it goes on beside the looks that follow."""
STORE_ERRORS = (SQLAlchemyError, OSError)


class Watch:
    """One watcher per process; several may run over one database."""

    def __init__(
        self,
        database: Database,
        use_cases: Calls,
        losses: Losses,
        aftercall: Aftercall,
        rooms: Rooms,
        settings: Settings,
        hearing: Hearing,
        *,
        clock: Clock,
        changed: Wake,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._calls = use_cases
        self._losses = losses
        self._aftercall = aftercall
        self._rooms = rooms
        self._settings = settings
        self._hearing = hearing
        self._clock = clock
        self._changed = changed
        self._steady = Steady(clock(), monotonic)
        self._recovery: Recovery | None = None
        self._owes_grace = False
        self._in_hand: dict[str, asyncio.Task[None]] = {}

    @property
    def is_recovering(self) -> bool:
        """Whether calls from before the start may still be told of by those who carried them."""
        return self._recovery is not None

    async def start(self) -> None:
        """After a start: wait for what workers and bridges kept meanwhile."""
        now = self._clock()
        self._steady.look(now)
        async with self._database.transaction() as connection:
            await workers.forget(connection, now - REMEMBERED)
            known = await workers.everybody(connection)
        for worker in known:
            self._hearing.read(worker.worker_id, worker.last_seen_at, now)
        grace = timedelta(seconds=self._settings.recovery_grace_s)
        self._recovery = Recovery(now, known, grace)

    async def turn(self) -> None:
        """Do what is due, then wait until something will be."""
        armed = self._changed.armed()
        await self.tick()
        await Wake.wait(armed, await self._idle_s())

    async def tick(self) -> None:
        """Do what is due now."""
        try:
            await self._tick()
        except* STORE_ERRORS:
            # A store that fails has kept signs of life from us, and from other replicas, too.
            self._steady.disturb(self._clock())
            raise

    async def _tick(self) -> None:
        now = self._clock()
        self._owes_grace |= self._steady.look(now)
        if self._owes_grace:
            # Not one timer may run out for a jump of the clock.
            async with self._database.transaction() as connection:
                await call_rows.grant_grace(connection, now, JUMP_GRACE)
            self._owes_grace = False
        async with self._database.read() as connection:
            due = await call_rows.due(connection, now)
            live = await call_rows.live(connection)
            heard = await workers.everybody(connection) if live or self._recovery else []
        for worker in heard:
            self._hearing.read(worker.worker_id, worker.last_seen_at, now)
        held = self._held_back(heard, now)
        for row in due:
            if row.is_ended or not held(row):
                self._begin(f"{row.call_id} due", self._do(row, now, heard))
        gone = {each.worker_id for each in heard if self._is_gone(each.worker_id, now)}
        for row in live:
            if gone.intersection((row.worker_id, row.bridge_id)) and not held(row):
                self._begin(f"{row.call_id} missed", self._miss(row, gone))
        # All at once, and not waited for longer: a LiveKit that hangs, or a call that fails, must
        # neither hold up the others nor look like a process that stood still.
        tasks = list(self._in_hand.values())
        done = (await asyncio.wait(tasks, timeout=IN_HAND_S))[0] if tasks else set()
        self._in_hand = {key: task for key, task in self._in_hand.items() if task not in done}
        failures = [failure for task in done if (failure := task.exception()) is not None]
        if failures:
            raise BaseExceptionGroup("calls whose time was up", failures)

    def _begin(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        if key in self._in_hand:
            work.close()
        else:
            self._in_hand[key] = asyncio.create_task(work, name=key)

    def _held_back(self, heard: Sequence[WorkerRow], now: datetime) -> Callable[[CallRow], bool]:
        """Return which calls nothing is done about yet: after a start, those from before."""
        recovery = self._recovery
        if recovery is None:
            return lambda _: False
        back = [each for each in heard if self._is_back(each.worker_id, recovery)]
        if recovery.is_over(back, now):
            log.info("recovered", after_s=(now - recovery.started_at).total_seconds())
            self._recovery = None
            return lambda _: False
        return lambda row: row.planned_at <= recovery.started_at

    def _is_back(self, worker_id: str, recovery: Recovery) -> bool:
        """Return whether somebody has been heard of since the start, by our own clock."""
        last_at = self._hearing.last(worker_id)
        return last_at is not None and last_at > recovery.started_at

    async def _do(self, row: CallRow, now: datetime, heard: Sequence[WorkerRow]) -> None:
        if row.is_ended:
            await self._finish_up(row, now)
        elif row.settle_due_at is not None and row.settle_due_at <= now:
            await self._calls.finish(row, None)
        elif row.claim_due_at is not None and row.claim_due_at <= now:
            await self._replace(row)
        else:
            await self._expire(row, now, heard)

    async def _miss(self, row: CallRow, gone: Collection[str]) -> None:
        """Act where those that serve a call are among those that have fallen silent."""
        worker_id = row.worker_id
        if worker_id is not None and worker_id in gone:
            lost = LostJob(
                call_id=row.call_id, incarnation=row.incarnation, detail="its worker fell silent"
            )
            await self._losses.agent(
                row.tenant_id, lost, is_gone=lambda: self._is_gone(worker_id, self._clock())
            )
        if row.bridge_id in gone and not row.leg_ended:
            await self._losses.bridge(
                row, is_gone=lambda: self._is_gone(row.bridge_id, self._clock())
            )

    def _is_gone(self, worker_id: str, now: datetime) -> bool:
        """Return whether somebody who once gave a sign of life gives none any more."""
        if self._hearing.is_speaking(worker_id):
            return False
        last_at = self._hearing.last(worker_id) or self._steady.since
        return self._steady.is_silent(last_at, now, FRESH)

    async def _replace(self, row: CallRow) -> None:
        if row.agents_lost > MAX_REPLACED:
            await self._calls.finish(row, Reason.AGENT_LOST, "its agents died")
            return
        if await self._calls.give_time(row):
            return
        # An agent that had waited and died cost no dispatch; one that served and died had its own.
        most = MAX_UNCLAIMED_INCARNATIONS + bool(row.standby_id) + row.agents_lost
        if row.incarnation >= most:
            reason = Reason.AGENT_LOST if row.agents_lost else Reason.NO_AGENT
            await self._calls.finish(row, reason, "no agent claimed the call")
            return
        incarnation = await self._calls.raise_incarnation(row)
        if incarnation is None:
            return
        log.warning("call_unclaimed", call_id=row.call_id, incarnation=incarnation)
        try:
            await self._rooms.dispatch(row.room_name, row.call_id, incarnation)
        except RoomError as error:
            log.warning("dispatch_failed", call_id=row.call_id, error=str(error))

    async def _expire(self, row: CallRow, now: datetime, heard: Sequence[WorkerRow]) -> None:
        if row.state in UNANSWERED:
            async with self._database.read() as connection:
                reason, detail = await dialling.silence(connection, row)
            await self._calls.finish(row, reason, detail)
            return
        last_at = row.planned_at + timedelta(seconds=self._settings.max_room_s)
        # Behind LiveKit SIP there is no bridge: the agent keeps the cap.
        carrier = "agent" if row.media == "tracks" else "bridge"
        is_carried = any(row.call_id in worker.calls for worker in heard if worker.kind == carrier)
        if is_carried and now < last_at:
            # Its bridge keeps the cap by a clock that cannot be set, ours may have been.
            async with self._database.transaction() as connection:
                await call_rows.extend(connection, row, min(now + OVERTIME_STEP, last_at))
            return
        reason = Reason.MAX_DURATION if is_carried else Reason.BRIDGE_LOST
        await self._calls.finish(row, reason, "the call outlived its time")

    async def _finish_up(self, row: CallRow, now: datetime) -> None:
        if row.result_due_at is not None and row.result_due_at <= now:
            await self._aftercall.conclude(row)
        if row.room_due_at is not None and row.room_due_at <= now:
            await self._close_room(row)

    async def _close_room(self, row: CallRow) -> None:
        try:
            await self._rooms.delete(row.room_name)
        except RoomError as error:
            log.warning("room_not_deleted", call_id=row.call_id, error=str(error))
            async with self._database.transaction() as connection:
                await call_rows.room_is_stuck(connection, row, self._clock() + ROOM_RETRY)
            return
        async with self._database.transaction() as connection:
            await call_rows.room_is_gone(connection, row)

    async def _idle_s(self) -> float:
        async with self._database.read() as connection:
            due_at = await call_rows.next_due_at(connection)
        if due_at is None:
            return LONGEST_WAIT_S
        least_s = LEAST_WAIT_S if self._recovery or self._in_hand else 0.0
        return min(LONGEST_WAIT_S, max(least_s, (due_at - self._clock()).total_seconds()))
