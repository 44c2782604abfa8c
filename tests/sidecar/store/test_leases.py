"""One holder at a time, for as long as it says so; on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store import leases
from sidecar.store.database import Database
from tests.fakes.control_plane import START

MINUTE = timedelta(minutes=1)


async def take(database: Database, holder: str, at_minute: int = 0) -> bool:
    now = START + at_minute * MINUTE

    async def work(connection: AsyncConnection) -> bool:
        return await leases.take(connection, "work", holder, now, now + MINUTE)

    return await database.run(work)


async def test_one_of_many_gets_a_lease_that_nobody_ever_had(database: Database) -> None:
    answers = await asyncio.gather(*(take(database, f"holder-{number}") for number in range(8)))
    assert sorted(answers) == [False] * 7 + [True]


async def test_lease_is_its_holder_s_until_it_runs_out(database: Database) -> None:
    assert await take(database, "a")
    assert await take(database, "a")
    assert not await take(database, "b")
    assert await take(database, "b", at_minute=1)
    assert not await take(database, "a", at_minute=1)


async def test_lease_given_back_is_free_at_once(database: Database) -> None:
    assert await take(database, "a")
    async with database.transaction() as connection:
        await leases.release(connection, "work", "b", START)
    assert not await take(database, "b")
    async with database.transaction() as connection:
        await leases.release(connection, "work", "a", START)
    assert await take(database, "b")


async def test_leases_of_different_work_are_apart(database: Database) -> None:
    assert await take(database, "a")
    async with database.transaction() as connection:
        assert await leases.take(connection, "other", "b", START, START + MINUTE)


async def test_lease_that_its_holder_puts_away_was_never_taken(database: Database) -> None:
    async def was_taken(holder: str) -> bool:
        async with database.transaction() as connection:
            await leases.put_away(connection, "work", holder)
            return await leases.was_taken(connection, "work")

    assert not await was_taken("a")
    assert await take(database, "a")
    assert await was_taken("b")
    assert not await was_taken("a")
