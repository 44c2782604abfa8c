"""Dial rows: nothing goes back, each is claimed once, and tenants do not meet."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from sidecar.store import dials
from sidecar.store.database import Database
from sidecar.store.dials import DialRow, DialState
from tests.fakes.control_plane import START

T = "default"


def dial(call_id: str, **changes: Any) -> DialRow:
    given: dict[str, Any] = {
        "call_id": call_id,
        "tenant_id": T,
        "trunk_id": "t1",
        "kind": "bridge",
        "to_number": "+919876543210",
        "from_number": "",
        "created_at": START,
        "ringing_timeout_s": 45.0,
        **changes,
    }
    return DialRow(**given)


async def store(database: Database, *rows: DialRow) -> None:
    async with database.transaction() as connection:
        for row in rows:
            await dials.add(connection, row)


async def test_dial_reads_back_as_it_was_stored(database: Database) -> None:
    row = dial("c1", state="claimed", claimed_by="b", claimed_at=START, leased_until=START)
    await store(database, row)
    async with database.read() as connection:
        assert await dials.get(connection, T, "c1") == row
        assert await dials.get(connection, "other", "c1") is None


async def test_only_one_of_many_claims_it(database: Database) -> None:
    row = dial("c1", state=DialState.READY)
    await store(database, row)

    async def claim(number: int) -> bool:
        async with database.transaction() as connection:
            return await dials.claim(connection, row, f"b{number}", START)

    assert sorted(await asyncio.gather(*map(claim, range(5)))) == [False] * 4 + [True]


async def test_nothing_goes_back(database: Database) -> None:
    await store(database, dial("claimed", state="claimed"), dial("settled", state="settled"))
    async with database.transaction() as connection:
        for call_id in ("claimed", "settled"):
            assert not await dials.become_ready(connection, T, call_id)
            assert not await dials.claim(connection, dial(call_id), "b", START)
        assert not await dials.become_ready(connection, "other", "claimed")


async def test_ready_ones_are_listed_by_kind_and_tenant_the_oldest_first(
    database: Database,
) -> None:
    later = START + timedelta(seconds=1)
    await store(
        database,
        dial("young", state="ready", created_at=later),
        dial("old", state="ready"),
        dial("waits"),
        dial("managed", state="ready", kind="managed"),
        dial("foreign", state="ready", tenant_id="other"),
    )
    async with database.read() as connection:
        found = await dials.ready(connection, "bridge", tenant_id=T, limit=9)
        everybody = await dials.ready(connection, "bridge", limit=9)
        first = await dials.ready(connection, "bridge", tenant_id=T, limit=1)
    assert [row.call_id for row in found] == ["old", "young"]
    assert {row.call_id for row in everybody} == {"old", "young", "foreign"}
    assert [row.call_id for row in first] == ["old"]


async def test_leases_are_renewed_for_their_holder_alone(database: Database) -> None:
    until = START + timedelta(seconds=20)
    taken = {"state": "claimed", "kind": "managed", "leased_until": START}
    await store(
        database,
        dial("mine", claimed_by="me", **taken),
        dial("theirs", claimed_by="them", **taken),
        dial("bridges", claimed_by="me", state="claimed"),
    )
    async with database.transaction() as connection:
        await dials.renew(connection, "me", until)
        claimed = {row.call_id: row.leased_until for row in await dials.claimed(connection)}
    assert claimed == {"mine": until, "theirs": START, "bridges": None}


async def test_first_word_of_how_it_ended_counts(database: Database) -> None:
    await store(database, dial("c1", state="claimed"))
    later = START + timedelta(seconds=1)
    async with database.transaction() as connection:
        await dials.settle(connection, T, "c1", START, 486)
        await dials.settle(connection, T, "c1", later)
        row = await dials.get(connection, T, "c1")
        assert await dials.claimed(connection) == []
    assert row is not None
    assert (row.state, row.settled_at, row.sip_status_code) == ("settled", START, 486)
