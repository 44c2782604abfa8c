"""The outbox's claim and settle statements, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sidecar.store import deliveries
from sidecar.store.database import Database
from sidecar.store.deliveries import Attempt, Delivery, DeliveryState
from tests.fakes.control_plane import START

T = "default"
LEASE = timedelta(seconds=60)


def delivery(delivery_id: str = "d1", **changes: Any) -> Delivery:
    given: dict[str, Any] = {
        "delivery_id": delivery_id,
        "tenant_id": T,
        "call_id": "c1",
        "bot_id": "desk",
        "url": "https://crm.example",
        "body": "{}",
        "state": DeliveryState.PENDING,
        "attempt": 0,
        "created_at": START,
        "due_at": START,
        "settled_at": None,
        "last_error": None,
        **changes,
    }
    return Delivery(**given)


async def stored(database: Database, *rows: Delivery) -> None:
    async with database.transaction() as connection:
        for row in rows:
            await deliveries.add(connection, row)


async def claim(database: Database, after_s: float = 0) -> Delivery | None:
    now = START + timedelta(seconds=after_s)
    async with database.transaction() as connection:
        return await deliveries.claim(connection, now, now + LEASE)


async def settle(database: Database, row: Delivery, state: DeliveryState) -> bool:
    async with database.transaction() as connection:
        return await deliveries.settle(
            connection, row, state=state, due_at=START, settled_at=START, error=None
        )


async def test_claim_counts_the_attempt_and_takes_the_oldest(database: Database) -> None:
    older = START - timedelta(seconds=5)
    await stored(database, delivery("d1"), delivery("d2", due_at=older))
    assert await claim(database) == delivery("d2", attempt=1, due_at=START + LEASE)


async def test_claim_leaves_what_is_not_due_or_not_pending(database: Database) -> None:
    await stored(
        database,
        delivery("d1", due_at=START + timedelta(seconds=1)),
        delivery("d2", state=DeliveryState.DELIVERED),
        delivery("d3", state=DeliveryState.DEAD),
        delivery("d4", state=DeliveryState.PARKED),
    )
    assert await claim(database) is None


async def test_one_of_many_claimants_gets_the_row(database: Database) -> None:
    await stored(database, delivery())
    claims = await asyncio.gather(*(claim(database) for _ in range(5)))
    assert [found.attempt for found in claims if found is not None] == [1]


async def test_claimants_share_rows_without_doubling(database: Database) -> None:
    await stored(database, *(delivery(f"d{number}") for number in range(4)))
    claims: list[str] = []
    while len(claims) < 4:
        found = await asyncio.gather(*(claim(database) for _ in range(4)))
        claims += [row.delivery_id for row in found if row is not None]
    assert sorted(claims) == ["d0", "d1", "d2", "d3"]


async def test_lease_that_ran_out_is_a_second_attempt(database: Database) -> None:
    await stored(database, delivery())
    assert (first := await claim(database)) is not None
    assert await claim(database, after_s=59) is None
    assert (second := await claim(database, after_s=60)) is not None
    assert (first.attempt, second.attempt) == (1, 2)


async def test_stale_settle_touches_nothing(database: Database) -> None:
    await stored(database, delivery())
    stale = await claim(database)
    fresh = await claim(database, after_s=60)
    assert stale is not None
    assert fresh is not None
    assert not await settle(database, stale, DeliveryState.DEAD)
    assert await settle(database, fresh, DeliveryState.DELIVERED)
    assert not await settle(database, fresh, DeliveryState.DEAD)
    async with database.read() as connection:
        (row,) = await deliveries.page(connection, T)
    assert (row.state, row.attempt) == (DeliveryState.DELIVERED, 2)


async def test_next_due_at_looks_at_pending_rows_alone(database: Database) -> None:
    later = START + timedelta(seconds=9)
    await stored(
        database, delivery("d1", state=DeliveryState.DELIVERED), delivery("d2", due_at=later)
    )
    async with database.read() as connection:
        assert await deliveries.next_due_at(connection) == later


async def test_page_filters_and_keeps_to_the_tenant(database: Database) -> None:
    await stored(
        database,
        delivery("d1"),
        delivery("d2", call_id="c2", bot_id="other", created_at=START + timedelta(seconds=1)),
        delivery("d3", tenant_id="else"),
    )
    async with database.read() as connection:
        everything = await deliveries.page(connection, T)
        by_call = await deliveries.page(connection, T, call_id="c2", states=["pending"])
        by_bot = await deliveries.page(connection, T, bot_ids=["desk"])
    assert [row.delivery_id for row in everything] == ["d2", "d1"]
    assert [row.delivery_id for row in by_call] == ["d2"]
    assert [row.delivery_id for row in by_bot] == ["d1"]


async def test_attempts_are_listed_in_order(database: Database) -> None:
    first = Attempt("d1", 1, START, None, "ConnectError", 3.5)
    second = replace(first, attempt=2, status_code=200, error=None)
    async with database.transaction() as connection:
        await deliveries.add_attempt(connection, T, second)
        await deliveries.add_attempt(connection, T, first)
        assert await deliveries.attempts(connection, T, ["d1"]) == [first, second]
        assert await deliveries.attempts(connection, "other", ["d1"]) == []


async def test_backlog_is_counted_by_state_whatever_was_delivered(database: Database) -> None:
    states = (DeliveryState.PENDING, DeliveryState.PENDING, DeliveryState.DEAD)
    await stored(
        database,
        *(delivery(f"d{number}", state=state) for number, state in enumerate(states)),
        delivery("done", state=DeliveryState.DELIVERED),
    )
    async with database.read() as connection:
        assert await deliveries.backlog(connection) == {"pending": 2, "parked": 0, "dead": 1}
