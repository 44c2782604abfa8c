"""Agents that wait for a call, in rooms of their own: each is given to one call, or sent away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.ids import Channel
from contracts.plan import AgentPlan, PlanRequest
from sidecar.briefing import agent_plan
from sidecar.capacity import FRESH
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.keyring import Keyring
from sidecar.store import calls, standbys, workers
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.standbys import StandbyRow, StandbyState
from sidecar.store.workers import WorkerRow
from sidecar.wake import Bells, Wake

HOLD_S = 25.0
"""How long a question for a call is left unanswered: below what proxies and clients stand."""
CLAIM_TIMEOUT = timedelta(seconds=1)
"""How long one that was woken may take to claim its call before another is called in its place."""
UNLISTED = timedelta(seconds=3)
"""How long one may wait before its worker's heartbeat has to name it."""
DOORS = frozenset({Channel.WEBSOCKET, Channel.EXOTEL, Channel.WEB})
"""A SIP leg's room is named by its rule, so nobody can wait in it."""


class Standbys:
    """What an agent without a call asks for."""

    def __init__(self, database: Database, *, clock: Clock, bells: Bells, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._bells = bells
        self._waiting: set[str] = set()
        self._given: dict[str, AgentPlan] = {}

    def give(self, call: CallRow, *, is_seated: bool) -> None:
        """Wake the agent that `take` gave to a call, once that is committed.

        Most wait on this process: they get their plan without a look into the database.
        """
        if call.standby_id in self._waiting:
            # The call's config was vetted a moment ago, with its tenant's keys of now.
            plan = agent_plan(call, [], self._keyring, is_seated=is_seated)
            self._given[call.standby_id] = plan
        self._bells.standbys.ring()

    async def wait(self, tenant_id: str, standby_id: str, worker_id: str) -> AgentPlan | None:
        """Return the plan of the call it was given to, as soon as it is; None: ask again.

        Raises:
            Denied: it is not wanted any more.
        """
        until = asyncio.get_running_loop().time() + HOLD_S
        self._waiting.add(standby_id)
        try:
            while True:
                armed = self._bells.standbys.armed()
                row = await self._arrived(tenant_id, standby_id, worker_id)
                if row.state is StandbyState.CLAIMED:
                    return await self._plan(row)
                left_s = until - asyncio.get_running_loop().time()
                if left_s <= 0 or self._bells.parting.is_set():
                    return None
                await Wake.wait(armed, left_s)
                if standby_id in self._given:
                    return self._given[standby_id]
        finally:
            self._waiting.discard(standby_id)
            self._given.pop(standby_id, None)

    async def lost(self, tenant_id: str, standby_id: str) -> None:
        """An agent hung up on us while it waited: it has died."""

        async def work(connection: AsyncConnection) -> bool:
            row = await standbys.get(connection, tenant_id, standby_id)
            return row is not None and await standbys.retire(connection, row, self._clock())

        if await self._database.run(work):
            self._bells.standbys.ring()

    async def _arrived(self, tenant_id: str, standby_id: str, worker_id: str) -> StandbyRow:
        async with self._database.read() as connection:
            row = await standbys.get(connection, tenant_id, standby_id)
        if row is not None and row.state is StandbyState.MAKING:
            row = await self._become_ready(row, worker_id)
        if row is None or row.state is StandbyState.GONE or row.worker_id != worker_id:
            raise _gone()
        return row

    async def _become_ready(self, making: StandbyRow, worker_id: str) -> StandbyRow | None:
        async def work(connection: AsyncConnection) -> StandbyRow | None:
            await standbys.become_ready(connection, making, worker_id, self._clock())
            await self._database.notify_standbys(connection)
            return await standbys.get(connection, making.tenant_id, making.standby_id)

        row = await self._database.run(work)
        self._bells.standbys.ring()
        return row

    async def _plan(self, row: StandbyRow) -> AgentPlan:
        async with self._database.read() as connection:
            call = await calls.get(connection, row.tenant_id, row.call_id or "")
        if call is None or call.is_ended or call.incarnation != 1:
            raise _gone()
        await self._keyring.load(row.tenant_id, call.config or {})
        return agent_plan(call, [], self._keyring, is_seated=row.bridge_id is not None)


async def take(
    connection: AsyncConnection, call: CallRow, request: PlanRequest, now: datetime
) -> StandbyRow | None:
    """Give a ready agent to a call whose caller waits for it already, if there is one."""
    if not request.is_awaited or request.channel not in DOORS:
        return None
    rows = await standbys.listed(connection, call.tenant_id)
    ready = [row for row in rows if row.state is StandbyState.READY]
    if not ready:
        return None
    agents = await workers.listed(connection, call.tenant_id, now - FRESH)
    for row in by_preference(ready, agents, request.seats, request.bridge_id, now):
        bridge_id = request.bridge_id if row.standby_id in request.seats else None
        if await standbys.claim(connection, row, call.call_id, bridge_id, now):
            return replace(row, bridge_id=bridge_id)
    return None


def by_preference(
    ready: Iterable[StandbyRow],
    agents: Sequence[WorkerRow],
    seats: Sequence[str],
    bridge_id: str,
    now: datetime,
) -> list[StandbyRow]:
    """Return those that can take a call, the best first.

    Best is where the bridge sits already, worst where another one does; among equals the oldest.
    One on a worker that has all the calls it takes waits for a better time.
    """

    def rank(row: StandbyRow) -> tuple[int, datetime]:
        if row.standby_id in seats:
            return 0, row.made_at
        return (1 if row.bridge_id in (None, bridge_id) else 2), row.made_at

    def is_free(row: StandbyRow) -> bool:
        host = host_of(row, agents)
        if host is None:
            return not is_unlisted(row, now)
        return len(host.calls) < host.max_calls

    return sorted(filter(is_free, ready), key=rank)


def host_of(row: StandbyRow, agents: Sequence[WorkerRow]) -> WorkerRow | None:
    """Return the ready worker whose job a standby is, by the worker's own word."""
    return next((a for a in agents if a.ready and row.standby_id in a.standbys), None)


def is_unlisted(row: StandbyRow, now: datetime) -> bool:
    """Return whether it is high time for a worker to have named it."""
    return row.ready_at is not None and row.ready_at < now - UNLISTED


def _gone() -> Denied:
    return Denied(Code.STANDBY_GONE, "no agent is to wait under this name; leave the room")
