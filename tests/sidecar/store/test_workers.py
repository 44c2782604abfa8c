"""Heartbeats: one row per worker, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from contracts.report import Heartbeat
from sidecar.store import workers
from sidecar.store.database import Database
from tests.fakes.control_plane import START

T = "default"


def heartbeat(**changes: Any) -> Heartbeat:
    given: dict[str, Any] = {
        "kind": "agent",
        "id": "w1",
        "host": "host",
        "pid": 7,
        "ready": True,
        "max_calls": 8,
        "started_at": START,
        **changes,
    }
    return Heartbeat(**given)


async def test_a_worker_has_one_row_that_follows_its_heartbeats(database: Database) -> None:
    later = START + timedelta(seconds=1)
    async with database.transaction() as connection:
        await workers.seen(connection, T, heartbeat(), START)
        await workers.seen(connection, T, heartbeat(calls=["c1"], ready=False), later)
        (row,) = await workers.listed(connection, T, START)
    assert (row.calls, row.ready, row.last_seen_at) == (["c1"], False, later)


async def test_listed_leaves_out_the_silent_and_other_tenants(database: Database) -> None:
    later = START + timedelta(seconds=10)
    async with database.transaction() as connection:
        await workers.seen(connection, T, heartbeat(), START)
        await workers.seen(connection, T, heartbeat(id="w2"), later)
        await workers.seen(connection, "other", heartbeat(id="w3"), later)
        rows = await workers.listed(connection, T, START + timedelta(seconds=5))
    assert [row.worker_id for row in rows] == ["w2"]


async def test_forget_drops_the_long_gone(database: Database) -> None:
    async with database.transaction() as connection:
        await workers.seen(connection, T, heartbeat(), START)
        await workers.forget(connection, START + timedelta(seconds=1))
        assert await workers.listed(connection, T, START) == []
