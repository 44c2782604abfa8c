"""The outbox's claim and settle statements, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from sidecar.store import deliveries, endpoints
from sidecar.store.database import Database
from sidecar.store.deliveries import (
    MOST_DESTINATION_CHARS,
    Attempt,
    Delivery,
    DeliveryState,
    Wanted,
)
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


async def claim(
    database: Database, after_s: float = 0, *, per_destination: int = 4
) -> Delivery | None:
    now = START + timedelta(seconds=after_s)
    async with database.transaction() as connection:
        return await deliveries.claim(connection, now, now + LEASE, per_destination)


async def one(database: Database, delivery_id: str = "d1") -> Delivery:
    async with database.read() as connection:
        row = await deliveries.get(connection, T, delivery_id)
    assert row is not None
    return row


async def replay(database: Database, after_s: float = 0, **wanted: Any) -> int:
    async with database.transaction() as connection:
        return await deliveries.replay(
            connection, T, Wanted(**wanted), START + timedelta(seconds=after_s)
        )


async def settle(database: Database, row: Delivery, state: DeliveryState) -> bool:
    async with database.transaction() as connection:
        return await deliveries.settle(
            connection, row, state=state, due_at=START, settled_at=START, error=None
        )


async def test_claim_counts_the_attempt_and_takes_the_oldest(database: Database) -> None:
    older = START - timedelta(seconds=5)
    await stored(database, delivery("d1"), delivery("d2", due_at=older))
    taken = delivery("d2", attempt=1, due_at=START + LEASE, leased_until=START + LEASE)
    assert await claim(database) == replace(taken, destination="https://crm.example")


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


async def test_row_that_somebody_is_claiming_is_passed_over(database: Database) -> None:
    await stored(database, delivery("d1"), delivery("d2"))
    async with database.transaction() as connection:
        first = await deliveries.claim(connection, START, START + LEASE, 4)
        claiming = asyncio.create_task(claim(database))
        if not database.is_sqlite:
            # Whoever froze in the middle of a claim keeps that row, and nothing else.
            await claiming
    second = await claiming
    assert {row.delivery_id for row in (first, second) if row is not None} == {"d1", "d2"}


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
    row = await one(database)
    assert (row.state, row.attempt, row.leased_until) == (DeliveryState.DELIVERED, 2, None)


async def test_destination_is_filled_in_and_never_too_long_to_index(database: Database) -> None:
    endless = f"https://{'a' * 10_000}.example/"
    await stored(
        database,
        delivery("d1", url="https://crm.example:8443/x?y"),
        delivery("d2", url="no address"),
        delivery("d3", url=endless),
    )
    rows = [await one(database, delivery_id) for delivery_id in ("d1", "d2", "d3")]
    assert [row.destination for row in rows] == [
        "https://crm.example:8443",
        "",
        endless[:MOST_DESTINATION_CHARS],
    ]
    assert [await claim(database) is None for _ in range(4)] == [False, False, False, True]


async def test_destination_has_its_limit_and_others_go_on(database: Database) -> None:
    await stored(
        database,
        *(delivery(f"a{number}", url=f"https://a.example/{number}") for number in range(4)),
        delivery("b", url="https://b.example", due_at=START + timedelta(milliseconds=1)),
    )
    claims = [await claim(database, 1, per_destination=2) for _ in range(4)]
    assert sorted(row.delivery_id for row in claims if row)[2] == "b"
    assert claims[3] is None
    assert claims[0] is not None
    assert await settle(database, claims[0], DeliveryState.DELIVERED)
    assert await claim(database, 1, per_destination=2) is not None
    assert await claim(database, 1, per_destination=2) is None
    # A worker that died gives its place back when its lease runs out.
    assert await claim(database, 62, per_destination=2) is not None


async def test_postponed_row_is_its_claimants_but_nobody_elses_until_then(
    database: Database,
) -> None:
    await stored(database, delivery())
    mine = await claim(database)
    assert mine is not None
    async with database.transaction() as connection:
        await deliveries.postpone(connection, mine, START + timedelta(hours=5))
    assert await claim(database, after_s=3600) is None
    assert await settle(database, mine, DeliveryState.DELIVERED)


async def test_parking_takes_what_waits_and_leaves_what_is_under_way(database: Database) -> None:
    await stored(
        database,
        delivery("leased"),
        delivery("waits", due_at=START + timedelta(hours=1)),
        delivery("done", state=DeliveryState.DELIVERED),
        delivery("other", url="https://crm.example/other", due_at=START + timedelta(hours=1)),
        delivery("else", tenant_id="else", due_at=START + timedelta(hours=1)),
    )
    mine = await claim(database)
    assert mine is not None
    async with database.transaction() as connection:
        now = START + timedelta(seconds=1)
        assert await deliveries.park_all(connection, T, "https://crm.example", now) == 1
    assert (await one(database, "waits")).state == DeliveryState.PARKED
    assert await settle(database, mine, DeliveryState.DELIVERED)


async def test_replay_makes_rows_due_and_their_fence_stands(database: Database) -> None:
    await stored(database, delivery())
    stale = await claim(database)
    assert stale is not None
    assert await replay(database, 59) == 0, "it is being attempted"
    assert await replay(database, 60) == 1
    assert not await settle(database, stale, DeliveryState.DEAD)
    row = await one(database)
    assert (row.state, row.attempt, row.tried, row.body) == ("pending", 1, 0, "{}")
    fresh = await claim(database, 60)
    assert fresh is not None
    assert (fresh.attempt, fresh.tried) == (2, 1)


async def test_replay_takes_what_is_meant_alone_and_enables_its_endpoint(
    database: Database,
) -> None:
    gone, other = "https://crm.example/gone", "https://crm.example/other"
    await stored(
        database,
        delivery("d1", url=gone, state=DeliveryState.PARKED),
        delivery("d2", url=other, state=DeliveryState.DEAD, bot_id="other"),
        delivery("d3", url=other, state=DeliveryState.PARKED, tenant_id="else"),
    )
    async with database.transaction() as connection:
        for tenant_id, url in ((T, gone), (T, other), ("else", other)):
            await endpoints.disable(connection, tenant_id, url, "status 410", START)
    assert await replay(database, states=[DeliveryState.PARKED]) == 1
    async with database.read() as connection:
        assert [row.url for row in await endpoints.listed(connection, T)] == [other]
        assert len(await endpoints.listed(connection, "else")) == 1
    states = [(await one(database, delivery_id)).state for delivery_id in ("d1", "d2")]
    assert states == [DeliveryState.PENDING, DeliveryState.DEAD]


async def test_nothing_is_added_under_an_id_twice(database: Database) -> None:
    """Hence no id is ever delivered with two bodies."""
    await stored(database, delivery())
    with pytest.raises(IntegrityError):
        await stored(database, delivery(body="other"))
    assert (await one(database)).body == "{}"


async def test_next_due_at_looks_at_pending_rows_alone(database: Database) -> None:
    later = START + timedelta(seconds=9)
    await stored(
        database, delivery("d1", state=DeliveryState.DELIVERED), delivery("d2", due_at=later)
    )
    async with database.read() as connection:
        assert await deliveries.next_due_at(connection) == later
        assert await deliveries.oldest_pending_at(connection) == START


async def test_page_filters_and_keeps_to_the_tenant(database: Database) -> None:
    await stored(
        database,
        delivery("d1"),
        delivery("d2", call_id="c2", bot_id="other", created_at=START + timedelta(seconds=1)),
        delivery("d3", tenant_id="else"),
    )
    async with database.read() as connection:
        everything = await deliveries.page(connection, T)
        by_call = await deliveries.page(connection, T, Wanted(call_id="c2", states=["pending"]))
        by_bot = await deliveries.page(connection, T, Wanted(bot_ids=["desk"]))
        of_no_bot = await deliveries.page(connection, T, Wanted(bot_ids=[]))
        since = await deliveries.page(
            connection, T, Wanted(created_from=START + timedelta(seconds=1))
        )
        until = await deliveries.page(
            connection, T, Wanted(created_before=START + timedelta(seconds=1))
        )
        of_others = await deliveries.page(
            connection, T, Wanted(destination="https://crm.example", kind="push")
        )
    assert [row.delivery_id for row in everything] == ["d2", "d1"]
    assert [row.delivery_id for row in by_call] == ["d2"]
    assert [row.delivery_id for row in by_bot] == ["d1"]
    assert [row.delivery_id for row in since] == ["d2"]
    assert [row.delivery_id for row in until] == ["d1"]
    assert of_no_bot == of_others == []
    async with database.read() as connection:
        assert await deliveries.get(connection, "else", "d1") is None


async def test_pages_neither_repeat_nor_leave_out_what_was_made_at_once(
    database: Database,
) -> None:
    await stored(database, *(delivery(f"d{number}") for number in range(5)))
    seen: list[Delivery] = []
    while len(seen) % 2 == 0:
        async with database.read() as connection:
            before = seen[-1] if seen else None
            seen += await deliveries.page(connection, T, before=before, limit=2)
    assert [row.delivery_id for row in seen] == ["d4", "d3", "d2", "d1", "d0"]


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
