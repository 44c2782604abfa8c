"""The ledger's numbers follow the order of commits, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

from contracts.event import EventType
from contracts.report import Noticed
from sidecar.store import events
from sidecar.store.database import Database
from sidecar.store.events import Draft
from tests.fakes.control_plane import START

T = "default"


def draft(call_id: str = "c1", **changes: Any) -> Draft:
    given: dict[str, Any] = {
        "call_id": call_id,
        "bot_id": "desk",
        "type": EventType.NOTICE,
        "at": START,
        "data": {"n": 1},
        **changes,
    }
    return Draft(**given)


async def append(database: Database, *drafts: Draft, tenant_id: str = T) -> list[str]:
    async with database.transaction() as connection:
        return await events.append(connection, tenant_id, drafts)


async def test_events_are_numbered_without_gaps(database: Database) -> None:
    assert await append(database, draft(), draft("c2")) == ["c1-1", "c2-2"]
    assert await append(database) == []
    await append(database, draft())
    async with database.read() as connection:
        found = await events.after(connection, T, 0)
        assert await events.last_sequence(connection) == 3
    assert [(event.sequence, event.subject) for event in found] == [(1, "c1"), (2, "c2"), (3, "c1")]
    assert found[0].time == START


async def test_sequence_order_is_commit_order_under_concurrency(database: Database) -> None:
    seen: list[int] = []

    async def write() -> None:
        async with database.transaction() as connection:
            await events.append(connection, T, [draft()])
            # Others get the chance to overtake between numbering and committing.
            await asyncio.sleep(0)

    async def watch() -> None:
        while len(seen) < 12:
            async with database.read() as connection:
                seen.extend(
                    e.sequence for e in await events.after(connection, T, seen[-1] if seen else 0)
                )
            await asyncio.sleep(0)

    await asyncio.gather(watch(), *(write() for _ in range(12)))
    assert seen == list(range(1, 13))


async def test_after_filters_by_call_bot_and_type(database: Database) -> None:
    await append(database, draft(), draft("c2", bot_id="other", type=EventType.CALL_ENDED), draft())
    async with database.read() as connection:
        by_call = await events.after(connection, T, 1, call_id="c1")
        by_bot = await events.after(connection, T, 0, bot_ids=["other"])
        by_type = await events.after(connection, T, 0, types=[EventType.CALL_ENDED], limit=1)
    assert [e.sequence for e in by_call] == [3]
    assert [e.sequence for e in by_bot] == [2]
    assert [e.sequence for e in by_type] == [2]


async def test_facts_come_in_order_of_time_and_leave_out_the_rest(database: Database) -> None:
    def fact(name: str, minute: int, seq: int) -> Draft:
        data = Noticed(at=START.replace(minute=minute), name=name).model_dump(mode="json")
        return draft(
            at=START.replace(minute=minute),
            data=data,
            source="agent",
            incarnation=1,
            source_seq=seq,
        )

    await append(database, fact("second", 2, 1), draft(), fact("first", 1, 2))
    async with database.read() as connection:
        found = await events.facts(connection, T, "c1")
        assert await events.facts(connection, "other", "c1") == []
    assert [fact.name for fact in found if isinstance(fact, Noticed)] == ["first", "second"]


async def test_other_tenants_see_nothing(database: Database) -> None:
    await append(database, draft(), tenant_id="other")
    async with database.read() as connection:
        assert await events.after(connection, T, 0) == []
