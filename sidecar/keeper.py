"""Keeps the pool of waiting agents: makes what is missing, sends away what is old or lost.

What is to be done follows from the rows alone, so replicas over one database share the work.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import ids
from contracts.call import CallState
from sidecar import capacity
from sidecar.capacity import FRESH, Capacity
from sidecar.clock import Clock
from sidecar.rooms import RoomError, Rooms
from sidecar.settings import Settings
from sidecar.standby import host_of, is_unlisted
from sidecar.steady import Steady
from sidecar.store import calls, events, standbys
from sidecar.store.database import Database
from sidecar.store.standbys import StandbyRow, StandbyState
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.wake import Bells, Wake

log = structlog.get_logger(__name__)

READY_TIMEOUT = timedelta(seconds=30)
SILENCE = timedelta(seconds=15)
"""How long a worker may say nothing before its agents are sent away. They are given to nobody
after three, but a machine that is merely too busy to say so has no use for new ones."""
REFILL_PAUSE = timedelta(seconds=1)
"""Nobody new is called while calls may still need the machine for their own start."""
MAKING_AT_ONCE = 1
ROOM_RETRY = timedelta(seconds=5)
LONGEST_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How many wait, and how long at most."""

    agents: int
    max_age: timedelta


@dataclass(slots=True)
class Upkeep:
    """What is to be done about the pool.

    Attributes:
        retire: agents to send away.
        abandon: claimed ones whose call never came about.
        forget: rows whose room has an owner.
        seat: the bridge that is to hold each seat, by standby.
        close: rooms to delete.
        make: how many to call.
    """

    retire: list[StandbyRow] = field(default_factory=list)
    abandon: list[StandbyRow] = field(default_factory=list)
    forget: list[StandbyRow] = field(default_factory=list)
    seat: list[tuple[StandbyRow, str]] = field(default_factory=list)
    close: list[StandbyRow] = field(default_factory=list)
    make: int = 0

    @property
    def is_nothing(self) -> bool:
        lists = (self.retire, self.abandon, self.forget, self.seat, self.close)
        return not self.make and not any(lists)


def upkeep(
    rows: Sequence[StandbyRow],
    call_states: Mapping[str, CallState | None],
    measured: Capacity,
    limits: Limits,
    now: datetime,
    *,
    since: datetime,
    is_starting: bool,
) -> Upkeep:
    """Return what is due now.

    Args:
        rows: the agents that wait, or did.
        call_states: of the calls that some were given to, by standby.
        measured: who is there.
        limits: how many are to wait, and how long.
        now: the time.
        since: from when on silence counts: what was said before may have been lost here.
        is_starting: a call still waits for its agent.
    """
    due = Upkeep()
    kept: list[StandbyRow] = []
    for row in rows:
        match row.state:
            case StandbyState.GONE:
                if row.room_due_at is None or row.room_due_at <= now:
                    due.close.append(row)
            case StandbyState.CLAIMED:
                if call_states.get(row.standby_id) is None:
                    due.abandon.append(row)
                elif call_states[row.standby_id] is CallState.ENDED:
                    due.forget.append(row)
            case _ if _is_over(row, measured, limits, now, since):
                due.retire.append(row)
            case _:
                kept.append(row)
    surplus = max(0, len(kept) - limits.agents)
    due.retire += kept[:surplus]
    kept = kept[surplus:]
    due.seat = _seats(kept, measured)
    if not is_starting and not _must_rest(rows, now):
        missing = min(limits.agents, measured.available) - len(kept)
        making = sum(row.state is StandbyState.MAKING for row in kept)
        due.make = max(0, min(missing, MAKING_AT_ONCE - making))
    return due


def _is_over(
    row: StandbyRow, measured: Capacity, limits: Limits, now: datetime, since: datetime
) -> bool:
    if row.state is StandbyState.MAKING:
        return row.made_at < now - READY_TIMEOUT
    if row.made_at < now - limits.max_age:
        return True
    is_seated = row.bridge_id is None or row.bridge_id in measured.bridges
    if not is_seated and since < now - FRESH:
        return True
    heard = [a for a in measured.agents if max(a.last_seen_at, since) >= now - SILENCE]
    return is_unlisted(row, now) and host_of(row, heard) is None


def _must_rest(rows: Sequence[StandbyRow], now: datetime) -> bool:
    """Return whether a call has just begun, or LiveKit has just failed."""
    claimed = any(r.claimed_at is not None and r.claimed_at > now - REFILL_PAUSE for r in rows)
    return claimed or any(r.room_due_at is not None and r.room_due_at > now for r in rows)


def _seats(kept: Sequence[StandbyRow], measured: Capacity) -> list[tuple[StandbyRow, str]]:
    """Return who is to hold the seats nobody holds: the bridges with the fewest."""
    held = Counter(dict.fromkeys(measured.bridges, 0))
    held.update(row.bridge_id for row in kept if row.bridge_id is not None)
    given: list[tuple[StandbyRow, str]] = []
    for row in kept:
        if row.state is StandbyState.READY and row.bridge_id is None and held:
            bridge_id = min(held, key=lambda each: (held[each], each))
            held[bridge_id] += 1
            given.append((row, bridge_id))
    return given


class Keeper:
    """One keeper per process; several may run over one database."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        settings: Settings,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        bells: Bells,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._limits = Limits(
            settings.standby_agents, timedelta(seconds=settings.standby_max_age_s)
        )
        self._max_calls = settings.max_concurrent_calls
        self._clock = clock
        self._new_id = new_id
        self._bells = bells
        # A bridge or a worker may have told of itself while there was nobody to be told.
        self._steady = Steady(clock(), monotonic)

    async def turn(self) -> None:
        """Do what is due, then wait until something may be."""
        armed = self._bells.standbys.armed()
        await self.tick()
        await Wake.wait(armed, LONGEST_WAIT_S)

    async def tick(self) -> None:
        """Do what is due now."""
        self._steady.look(self._clock())
        async with self._database.read() as connection:
            if (await self._due(connection)).is_nothing:
                return
        due, made = await self._database.run(self._apply)
        if due.retire or due.seat:
            self._bells.standbys.ring()
        await asyncio.gather(*map(self._open, made), *map(self._close, due.close))

    async def _due(self, connection: AsyncConnection) -> Upkeep:
        now = self._clock()
        return upkeep(
            await standbys.listed(connection, DEFAULT_TENANT),
            await standbys.states_of_calls(connection, DEFAULT_TENANT),
            await capacity.measure(connection, DEFAULT_TENANT, self._max_calls, now),
            self._limits,
            now,
            since=self._steady.since,
            is_starting=await calls.any_unclaimed(connection, DEFAULT_TENANT),
        )

    async def _apply(self, connection: AsyncConnection) -> tuple[Upkeep, list[StandbyRow]]:
        # Looked at once more, by one replica at a time: or two would fill the pool twice.
        await events.hold_order(connection)
        due, now = await self._due(connection), self._clock()
        for row in due.retire:
            if await standbys.retire(connection, row, now):
                log.info("standby_retired", standby_id=row.standby_id, state=row.state)
        for row in due.abandon:
            await standbys.abandon(connection, row, now)
        for row in due.forget:
            await standbys.remove(connection, row)
        for row, bridge_id in due.seat:
            await standbys.seat(connection, row, bridge_id)
        made = [self._new_row(now) for _ in range(due.make)]
        for row in made:
            await standbys.add(connection, row)
        if due.retire:
            await self._database.notify_standbys(connection)
        return due, made

    def _new_row(self, now: datetime) -> StandbyRow:
        standby_id = self._new_id()
        return StandbyRow(
            standby_id=standby_id,
            tenant_id=DEFAULT_TENANT,
            room_name=ids.standby_room(standby_id),
            state=StandbyState.MAKING,
            made_at=now,
        )

    async def _open(self, row: StandbyRow) -> None:
        try:
            await self._rooms.open_standby(row.room_name, row.standby_id, self._limits.max_age)
        except RoomError as error:
            log.warning("standby_not_made", error=str(error))
            async with self._database.transaction() as connection:
                await standbys.retire(connection, row, self._clock() + ROOM_RETRY)

    async def _close(self, row: StandbyRow) -> None:
        try:
            await self._rooms.delete(row.room_name)
        except RoomError as error:
            log.warning("standby_room_not_deleted", error=str(error))
            async with self._database.transaction() as connection:
                await standbys.room_is_stuck(connection, row, self._clock() + ROOM_RETRY)
            return
        async with self._database.transaction() as connection:
            await standbys.remove(connection, row)
