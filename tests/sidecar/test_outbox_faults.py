"""The outbox under fire: receivers on real sockets, two replicas, stores that fail at random."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from sidecar.courier import Courier, Trust
from sidecar.egress import EgressGuard
from sidecar.settings import RETRY_DELAYS_S
from sidecar.store import deliveries, endpoints
from sidecar.store.database import Database
from sidecar.store.deliveries import DeliveryState
from tests.fakes.bad_receiver import BadReceiver, Mood, misbehaving
from tests.fakes.control_plane import START, FakeClock
from tests.fakes.failing_database import FailingDatabase, StoreFailed
from tests.fakes.outbox import SECRET, Bench, FixedHeaders, FixedSecrets, Receiver, T

BODY = '{"session_id":"s1"}'
ALL_DELAYS = timedelta(hours=75, minutes=35, seconds=5)
BAD = [mood for mood in Mood if mood not in (Mood.GOOD, Mood.TRICKLES_BODY)]


@pytest.fixture
async def receiver() -> AsyncIterator[BadReceiver]:
    async with misbehaving() as found:
        yield found


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


def courier(http: httpx.AsyncClient, timeout_s: float) -> Courier:
    """Return what carries over real sockets."""
    return Courier(
        http,
        EgressGuard(allow_private=True),
        FixedSecrets(SECRET),
        FixedHeaders({}),
        Trust("service-secret"),
        timeout_s=timeout_s,
    )


@pytest.mark.parametrize("mood", BAD)
async def test_whole_schedule_against_a_receiver_that_misbehaves_until_it_recovers(
    sqlite: Database, receiver: BadReceiver, http: httpx.AsyncClient, mood: Mood
) -> None:
    receiver.mood = mood
    is_silent = mood in (Mood.HANGS, Mood.TRICKLES)
    bench = Bench(sqlite, Receiver(), courier_=courier(http, 0.1 if is_silent else 10))
    await bench.add(url=receiver.url, body=BODY)
    row = await bench.until_settled()
    assert (row.state, row.attempt) == (DeliveryState.DEAD, len(RETRY_DELAYS_S))
    assert bench.clock() - START == ALL_DELAYS
    attempts = await bench.attempts()
    assert len(attempts) == len(RETRY_DELAYS_S)
    # On a machine under load, impatience may come before the request does.
    assert receiver.requests == len(attempts) or (is_silent and receiver.requests > 0)
    assert all((attempt.status_code is None) != (attempt.error is None) for attempt in attempts)
    receiver.mood = Mood.GOOD
    assert await bench.replay(states=[DeliveryState.DEAD]) == 1
    assert (await bench.until_settled()).state == DeliveryState.DELIVERED
    assert receiver.bodies == {"d1": {BODY.encode()}}


async def test_body_of_an_answer_may_trickle_for_ever(
    sqlite: Database, receiver: BadReceiver, http: httpx.AsyncClient
) -> None:
    receiver.mood = Mood.TRICKLES_BODY
    bench = Bench(sqlite, Receiver(), courier_=courier(http, 1))
    await bench.add(url=receiver.url)
    await bench.outbox.deliver_one()
    assert (await bench.row()).state == DeliveryState.DELIVERED
    (attempt,) = await bench.attempts()
    assert (attempt.status_code, set(attempt.response)) == (200, {"x"})


async def test_two_replicas_deliver_each_row_once(database: Database) -> None:
    """Each has its own connections; every claim races with the other's."""
    clock, receiver = FakeClock(), Receiver()
    other = Database(database.url.render_as_string(hide_password=False))
    benches = [Bench(each, receiver, clock=clock) for each in (database, other)]
    for number in range(12):
        await benches[0].add(f"d{number:02}", url=f"https://host-{number % 3}.example")

    async def work(bench: Bench) -> None:
        while await bench.outbox.deliver_one():
            pass

    try:
        await asyncio.gather(*(work(bench) for bench in benches for _ in range(2)))
        # A claim that lost its race found nothing, though something was left.
        await work(benches[0])
    finally:
        await other.aclose()
    assert len(receiver.requests) == len(receiver.bodies) == 12
    async with database.read() as connection:
        rows = await deliveries.page(connection, T)
    assert {(row.state, row.attempt) for row in rows} == {(DeliveryState.DELIVERED, 1)}


async def test_endpoint_that_two_replicas_find_gone_is_disabled_once(database: Database) -> None:
    clock, receiver = FakeClock(), Receiver(*[410] * 8)
    other = Database(database.url.render_as_string(hide_password=False))
    benches = [Bench(each, receiver, clock=clock) for each in (database, other)]
    for number in range(8):
        await benches[0].add(f"d{number}")
    try:
        await asyncio.gather(*(bench.outbox.deliver_one() for bench in benches for _ in range(4)))
        while await benches[0].outbox.deliver_one():
            pass
    finally:
        await other.aclose()
    async with database.read() as connection:
        assert len(await endpoints.listed(connection, T)) == 1
        rows = await deliveries.page(connection, T)
    assert {row.state for row in rows} == {DeliveryState.PARKED}


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_fails_every_id_arrives_with_its_one_body(
    sqlite: FailingDatabase, seed: int
) -> None:
    """Bad answers, crashes at any commit, jumps of time, 410s and replays, in a random order."""
    chance = random.Random(seed)
    answers: list[int | Exception] = [
        200,
        200,
        302,
        401,
        404,
        410,
        413,
        429,
        500,
        503,
        httpx.ReadError("reset"),
    ]
    receiver = Receiver(*(chance.choice(answers) for _ in range(60)))
    bench = Bench(sqlite, receiver)
    ids = [f"d{number}" for number in range(6)]
    for delivery_id in ids:
        host = chance.choice(["a", "b"])
        await bench.add(delivery_id, url=f"https://{host}.example/", body=f'"{delivery_id}"')
    for _ in range(80):
        bench.clock.advance(chance.choice([0, 5, 60, 3600, 90_000]))
        if chance.random() < 0.3:
            sqlite.fail_at(chance.choice([1, 2]), chance.choice(["before", "after"]))
        with contextlib.suppress(StoreFailed):
            if chance.random() < 0.2:
                await bench.replay(states=[chance.choice(list(DeliveryState))])
            await bench.outbox.deliver_one()
    receiver.answers.clear()
    sqlite.fail_at(0, "before")
    bench.clock.advance(90_000)
    await bench.replay(states=list(deliveries.UNDELIVERED))
    for delivery_id in ids:
        assert (await bench.until_settled(delivery_id)).state == DeliveryState.DELIVERED
        attempts = [attempt.attempt for attempt in await bench.attempts(delivery_id)]
        assert attempts == sorted(set(attempts))
    assert receiver.bodies == {each: {f'"{each}"'.encode()} for each in ids}
