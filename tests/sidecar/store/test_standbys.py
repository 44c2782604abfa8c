"""Waiting agents: every change is a compare-and-set, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store import standbys
from sidecar.store.database import Database
from sidecar.store.standbys import StandbyRow, StandbyState
from tests.fakes.control_plane import START

T = "default"
LATER = START + timedelta(seconds=5)


def standby(standby_id: str = "s1", **changes: Any) -> StandbyRow:
    given: dict[str, Any] = {
        "standby_id": standby_id,
        "tenant_id": T,
        "room_name": f"standby-{standby_id}",
        "state": StandbyState.MAKING,
        "made_at": START,
        **changes,
    }
    return StandbyRow(**given)


async def add(database: Database, *rows: StandbyRow) -> None:
    async with database.transaction() as connection:
        for row in rows:
            await standbys.add(connection, row)


async def get(database: Database, standby_id: str = "s1") -> StandbyRow:
    async with database.read() as connection:
        row = await standbys.get(connection, T, standby_id)
    assert row is not None
    return row


async def test_row_is_read_as_it_was_written(database: Database) -> None:
    row = standby(state=StandbyState.READY, worker_id="w", bridge_id="b", ready_at=LATER)
    await add(database, row, standby("s2", made_at=START - timedelta(seconds=1)))
    async with database.read() as connection:
        assert await standbys.get(connection, T, "s1") == row
        assert await standbys.get(connection, "other", "s1") is None
        assert [r.standby_id for r in await standbys.listed(connection, T)] == ["s2", "s1"]


async def test_life_from_making_to_claimed(database: Database) -> None:
    await add(database, standby())
    async with database.transaction() as connection:
        assert await standbys.become_ready(connection, standby(), "w1", LATER)
        assert not await standbys.become_ready(connection, standby(), "w2", LATER)
        assert await standbys.seat(connection, standby(), "b1")
        assert await standbys.claim(connection, standby(), "c1", "b1", LATER)
        assert not await standbys.claim(connection, standby(), "c2", None, LATER)
        assert not await standbys.seat(connection, standby(), "b2")
        assert not await standbys.retire(connection, standby(), LATER)
        assert await standbys.calls_of(connection, T, ["s1", "s2"]) == {"s1": "c1"}
        assert await standbys.calls_of(connection, T, []) == {}
        assert await standbys.states_of_calls(connection, T) == {"s1": None}
    row = await get(database)
    assert (row.state, row.worker_id, row.bridge_id) == (StandbyState.CLAIMED, "w1", "b1")
    assert (row.call_id, row.ready_at, row.claimed_at) == ("c1", LATER, LATER)


@pytest.mark.parametrize("state", [StandbyState.MAKING, StandbyState.READY])
async def test_one_that_left_cannot_be_claimed(database: Database, state: StandbyState) -> None:
    await add(database, standby(state=state))
    async with database.transaction() as connection:
        assert await standbys.retire(connection, standby(), LATER)
        assert not await standbys.retire(connection, standby(), LATER)
        assert not await standbys.claim(connection, standby(), "c1", None, LATER)
        assert not await standbys.become_ready(connection, standby(), "w1", LATER)
        await standbys.room_is_stuck(connection, standby(), LATER + timedelta(seconds=5))
    row = await get(database)
    assert (row.state, row.room_due_at) == (StandbyState.GONE, LATER + timedelta(seconds=5))
    async with database.transaction() as connection:
        await standbys.remove(connection, row)
        assert await standbys.listed(connection, T) == []


async def test_one_standby_is_claimed_by_one_call(database: Database) -> None:
    await add(database, standby(state=StandbyState.READY))

    async def claim(number: int) -> bool:
        async def work(connection: AsyncConnection) -> bool:
            return await standbys.claim(connection, standby(), f"c{number}", None, LATER)

        return await database.run(work)

    claimed = await asyncio.gather(*(claim(number) for number in range(8)))
    assert sum(claimed) == 1
    assert (await get(database)).call_id == f"c{claimed.index(True)}"


async def test_call_that_never_came_gives_its_room_back(database: Database) -> None:
    await add(database, standby(state=StandbyState.CLAIMED, call_id="c1", claimed_at=START))
    async with database.transaction() as connection:
        assert await standbys.abandon(connection, standby(), LATER)
    row = await get(database)
    assert (row.state, row.room_due_at) == (StandbyState.GONE, LATER)
