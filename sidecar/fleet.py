"""The fleet as health checks see it: a picture in memory, refreshed in the background."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sidecar import capacity
from sidecar.capacity import Capacity
from sidecar.clock import Clock
from sidecar.store import standbys
from sidecar.store.database import Database
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.wake import Wake

REFRESH_S = 0.5
STALE = timedelta(seconds=5)


class Fleet:
    """Answers from memory alone; a picture that could not be refreshed says so."""

    def __init__(
        self, database: Database, limit: int, *, clock: Clock, closing: asyncio.Event
    ) -> None:
        self._database = database
        self._limit = limit
        self._clock = clock
        self._closing = closing
        self._picture: tuple[datetime, Capacity] | None = None
        self._standbys: Counter[str] = Counter()

    async def turn(self) -> None:
        """Refresh, and wait for the next time."""
        await self.refresh()
        await Wake.wait(self._closing, REFRESH_S)

    async def refresh(self) -> None:
        """Take a new picture."""
        now = self._clock()
        async with self._database.read() as connection:
            measured = await capacity.measure(connection, DEFAULT_TENANT, self._limit, now)
            waiting = await standbys.listed(connection, DEFAULT_TENANT)
        self._standbys = Counter(row.state.value for row in waiting)
        self._picture = (now, measured)

    def health(self) -> dict[str, Any]:
        """Return `/health`: the platform as one worker."""
        status, measured = self._current()
        total = 0 if measured is None else measured.total
        return {
            "status": status,
            "worker_calls": 0 if measured is None else measured.live_calls,
            "worker_max": total,
            "total_capacity": total,
            "total_available": self._available(status, measured),
            "workers": 1,
            "worker_id": "0",
            "worker_pid": os.getpid(),
        }

    def fleet(self) -> dict[str, Any]:
        """Return `/health/fleet`: every agent worker, those gone silent as unreachable."""
        status, measured = self._current()
        return {
            "status": status,
            "fleet_calls": 0 if measured is None else measured.live_calls,
            "fleet_max": 0 if measured is None else measured.total,
            "fleet_available": self._available(status, measured),
            "workers": [] if measured is None else _workers(measured),
            "standbys": {state: self._standbys[state] for state in ("making", "ready")},
        }

    def _current(self) -> tuple[str, Capacity | None]:
        if self._picture is None:
            return "starting", None
        taken_at, measured = self._picture
        status = "ok" if self._clock() - taken_at < STALE else "stale"
        return status, measured

    @staticmethod
    def _available(status: str, measured: Capacity | None) -> int:
        return measured.available if measured is not None and status == "ok" else 0


def _workers(measured: Capacity) -> list[dict[str, Any]]:
    return [
        {
            "id": agent.worker_id,
            "calls": len(agent.calls),
            "max": agent.max_calls,
            "pid": agent.pid,
        }
        if measured.is_fresh(agent)
        else {"id": agent.worker_id, "status": "unreachable"}
        for agent in measured.agents
    ]
