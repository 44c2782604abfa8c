"""Does what is due on calls when nobody reports: unclaimed, unsettled, expired, rooms left open.

All timers are columns of call rows, so a restart or another replica simply goes on.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from contracts.outcome import Reason
from sidecar.calls import Calls
from sidecar.capacity import REMEMBERED
from sidecar.clock import Clock
from sidecar.rooms import RoomError, Rooms
from sidecar.store import calls as call_rows
from sidecar.store import workers
from sidecar.store.calls import UNANSWERED, CallRow
from sidecar.store.database import Database
from sidecar.wake import Wake

log = structlog.get_logger(__name__)

MAX_UNCLAIMED_INCARNATIONS = 2
ROOM_RETRY = timedelta(seconds=5)
START_GRACE = timedelta(seconds=30)
LONGEST_WAIT_S = 1.0


class Watch:
    """One watcher per process; several may run over one database."""

    def __init__(
        self, database: Database, use_cases: Calls, rooms: Rooms, *, clock: Clock, changed: Wake
    ) -> None:
        self._database = database
        self._calls = use_cases
        self._rooms = rooms
        self._clock = clock
        self._changed = changed

    async def start(self) -> None:
        """After a start: end nothing for having been silent meanwhile; forget workers long gone."""
        now = self._clock()
        async with self._database.transaction() as connection:
            await call_rows.grant_grace(connection, now, START_GRACE)
            await workers.forget(connection, now - REMEMBERED)

    async def turn(self) -> None:
        """Do what is due, then wait until something will be."""
        armed = self._changed.armed()
        await self.tick()
        await Wake.wait(armed, await self._idle_s())

    async def tick(self) -> None:
        """Do what is due now."""
        now = self._clock()
        async with self._database.read() as connection:
            due = await call_rows.due(connection, now)
        # All at once: a LiveKit that hangs, or one call that fails, must not hold up the others.
        done = await asyncio.gather(*(self._do(row, now) for row in due), return_exceptions=True)
        failures = [failure for failure in done if isinstance(failure, Exception)]
        if failures:
            raise ExceptionGroup("calls whose time was up", failures)

    async def _do(self, row: CallRow, now: datetime) -> None:
        if row.is_ended:
            await self._close_room(row)
        elif row.settle_due_at is not None and row.settle_due_at <= now:
            await self._calls.finish(row, None)
        elif row.claim_due_at is not None and row.claim_due_at <= now:
            await self._replace(row)
        else:
            await self._expire(row)

    async def _replace(self, row: CallRow) -> None:
        if await self._calls.give_time(row):
            return
        # An agent that had waited and died cost no dispatch.
        most = MAX_UNCLAIMED_INCARNATIONS + bool(row.standby_id)
        if row.incarnation >= most:
            await self._calls.finish(row, Reason.NO_AGENT, "no agent claimed the call")
            return
        incarnation = await self._calls.raise_incarnation(row)
        if incarnation is None:
            return
        log.warning("call_unclaimed", call_id=row.call_id, incarnation=incarnation)
        try:
            await self._rooms.dispatch(row.room_name, row.call_id, incarnation)
        except RoomError as error:
            log.warning("dispatch_failed", call_id=row.call_id, error=str(error))

    async def _expire(self, row: CallRow) -> None:
        reason = Reason.ABANDONED if row.state in UNANSWERED else Reason.BRIDGE_LOST
        await self._calls.finish(row, reason, "nothing was heard of the call")

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
        return min(LONGEST_WAIT_S, max(0.0, (due_at - self._clock()).total_seconds()))
