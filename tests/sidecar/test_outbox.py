"""The outbox: verdicts, fencing, and at least once through every crash."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from sidecar.outbox import LOST_ATTEMPTS_ALLOWED, SETTLE_TRIES
from sidecar.settings import RETRY_DELAYS_S
from sidecar.store import endpoints
from sidecar.store.database import Database
from sidecar.store.deliveries import DISABLED, Delivery, DeliveryState
from tests.fakes.control_plane import START, FakeClock
from tests.fakes.failing_database import FailingDatabase, StoreFailed, When
from tests.fakes.outbox import URL, Bench, Receiver, T, courier

ALL_DELAYS = timedelta(hours=75, minutes=35, seconds=5)


async def test_success_is_delivered(sqlite: Database) -> None:
    receiver = Receiver(204)
    bench = Bench(sqlite, receiver)
    await bench.add()
    assert await bench.outbox.deliver_one()
    row = await bench.row()
    assert (row.state, row.settled_at, row.last_error) == (DeliveryState.DELIVERED, START, None)
    assert not await bench.outbox.deliver_one()


async def test_failures_follow_the_schedule_to_the_dead_letter(sqlite: Database) -> None:
    receiver = Receiver(*[500] * 20)
    bench = Bench(sqlite, receiver)
    await bench.add()
    row = await bench.until_settled()
    assert row.state == DeliveryState.DEAD
    assert row.last_error == "status 500"
    assert len(receiver.requests) == len(RETRY_DELAYS_S) == 10
    assert bench.clock() - START == ALL_DELAYS


async def test_every_attempt_is_on_record(sqlite: Database) -> None:
    answers = (httpx.Response(500, text="down"), httpx.ConnectError("refused"), 200)
    bench = Bench(sqlite, Receiver(*answers))
    await bench.add()
    await bench.until_settled()
    attempts = await bench.attempts()
    assert [(a.attempt, a.status_code, a.error, a.response) for a in attempts] == [
        (1, 500, None, "down"),
        (2, None, "ConnectError: refused", ""),
        (3, 200, None, ""),
    ]
    assert [attempt.at - START for attempt in attempts] == [
        timedelta(seconds=0),
        timedelta(seconds=5),
        timedelta(seconds=305),
    ]


@pytest.mark.parametrize("status", [413, 422])
async def test_body_the_receiver_cannot_take_is_parked(sqlite: Database, status: int) -> None:
    bench = Bench(sqlite, Receiver(status))
    await bench.add()
    await bench.add("d2", due_at=START + timedelta(seconds=1))
    await bench.outbox.deliver_one()
    assert (await bench.row()).state == DeliveryState.PARKED
    assert (await bench.row("d2")).state == DeliveryState.PENDING


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 429, 503])
async def test_everything_else_is_tried_again(sqlite: Database, status: int) -> None:
    bench = Bench(sqlite, Receiver(status))
    await bench.add()
    await bench.outbox.deliver_one()
    row = await bench.row()
    assert (row.state, row.due_at) == (DeliveryState.PENDING, START + timedelta(seconds=5))


async def test_receiver_is_left_alone_as_long_as_it_asks(sqlite: Database) -> None:
    bench = Bench(sqlite, Receiver(httpx.Response(503, headers={"Retry-After": "60"})))
    await bench.add()
    await bench.outbox.deliver_one()
    assert (await bench.row()).due_at == START + timedelta(seconds=60)


async def test_address_that_is_gone_keeps_what_is_meant_for_it(sqlite: Database) -> None:
    """All of it waits, what comes later too; nothing of any other address does."""
    receiver = Receiver(410)
    bench = Bench(sqlite, receiver)
    await bench.add("d1")
    await bench.add("d2", due_at=START + timedelta(hours=5))
    await bench.add("other", url="https://crm.example/other", due_at=START + timedelta(hours=1))
    await bench.outbox.deliver_one()
    await bench.add("d3")
    assert not await bench.outbox.deliver_one()
    rows = [await bench.row(delivery_id) for delivery_id in ("d1", "d2", "d3", "other")]
    assert [(row.state, row.last_error) for row in rows] == [
        ("parked", "status 410"),
        ("parked", DISABLED),
        ("parked", DISABLED),
        ("pending", None),
    ]
    assert len(receiver.requests) == 1
    async with sqlite.read() as connection:
        (endpoint,) = await endpoints.listed(connection, T)
    assert (endpoint.url, endpoint.reason) == (URL, "status 410")


async def test_row_that_slipped_in_while_its_address_went_is_not_sent(sqlite: Database) -> None:
    receiver = Receiver()
    bench = Bench(sqlite, receiver)
    await bench.add()
    async with sqlite.transaction() as connection:
        await endpoints.disable(connection, T, URL, "status 410", START)
    assert await bench.outbox.deliver_one()
    assert ((await bench.row()).state, receiver.requests) == (DeliveryState.PARKED, [])


async def test_replay_starts_the_schedule_anew_under_the_same_id_and_body(
    sqlite: Database,
) -> None:
    receiver = Receiver(*[500] * 19, 200)
    bench = Bench(sqlite, receiver)
    await bench.add()
    await bench.until_settled()
    for _ in range(2):
        assert await bench.replay(states=[DeliveryState.DEAD]) <= 1
    began = bench.clock()
    row = await bench.until_settled()
    assert (row.state, row.attempt) == (DeliveryState.DELIVERED, 20)
    assert bench.clock() - began == ALL_DELAYS
    assert receiver.bodies == {"d1": {b'{"session_id":"s1"}'}}
    assert [attempt.attempt for attempt in await bench.attempts()] == list(range(1, 21))


async def test_worker_that_lost_its_lease_changes_nothing(sqlite: Database) -> None:
    """A slow attempt fails after another worker has delivered: delivered it stays."""
    clock = FakeClock()
    fast = Bench(sqlite, Receiver(200), clock=clock)

    async def slow(request: httpx.Request) -> httpx.Response:
        clock.advance(60)
        assert await fast.outbox.deliver_one()
        return httpx.Response(410)

    bench = Bench(sqlite, slow, clock=clock)
    await bench.add()
    await bench.outbox.deliver_one()
    row = await bench.row()
    assert (row.state, row.attempt, row.last_error) == (DeliveryState.DELIVERED, 2, None)
    assert [attempt.attempt for attempt in await bench.attempts()] == [2]
    async with sqlite.read() as connection:
        assert await endpoints.listed(connection, T) == []


async def test_late_word_on_what_was_replayed_since_changes_nothing(sqlite: Database) -> None:
    clock = FakeClock()

    async def slow(request: httpx.Request) -> httpx.Response:
        clock.advance(60)
        assert await bench.replay() == 1
        return httpx.Response(500)

    bench = Bench(sqlite, slow, clock=clock)
    await bench.add()
    await bench.outbox.deliver_one()
    row = await bench.row()
    assert (row.due_at, row.tried, row.last_error) == (clock(), 0, None)


@pytest.mark.parametrize("commit", [1, 2])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_crash_at_any_commit_delivers_at_least_once_under_one_id(
    sqlite: FailingDatabase, commit: int, when: When
) -> None:
    receiver = Receiver()
    bench = Bench(sqlite, receiver)
    await bench.add()
    sqlite.fail_at(commit, when)
    with pytest.raises(StoreFailed):
        await bench.outbox.deliver_one()
    row = await bench.until_settled()
    assert row.state == DeliveryState.DELIVERED
    assert receiver.bodies == {"d1": {b'{"session_id":"s1"}'}}
    assert 1 <= len(receiver.requests) <= 2


async def test_crash_loop_ends_as_a_dead_letter_but_in_days_not_minutes(
    sqlite: FailingDatabase,
) -> None:
    """An attempt that always kills its worker is counted, and waits like one that failed."""
    bench = Bench(sqlite, Receiver())
    await bench.add()
    claims = 0
    while (row := await bench.row()).state == DeliveryState.PENDING:
        bench.clock.at = max(bench.clock.at, row.due_at)
        claims += 1
        if claims <= len(RETRY_DELAYS_S) + LOST_ATTEMPTS_ALLOWED:
            sqlite.fail_at(2, "before")
            with pytest.raises(StoreFailed):
                await bench.outbox.deliver_one()
        else:
            await bench.outbox.deliver_one()
    assert row.state == DeliveryState.DEAD
    assert row.last_error == "attempts vanish unsettled"
    assert bench.clock() - START >= ALL_DELAYS


async def test_success_that_could_not_be_recorded_is_no_dead_letter(
    sqlite: FailingDatabase,
) -> None:
    receiver = Receiver(*[500] * 9, 200, 200)
    bench = Bench(sqlite, receiver)
    await bench.add()
    for _ in range(9):
        bench.clock.at = max(bench.clock.at, (await bench.row()).due_at)
        await bench.outbox.deliver_one()
    bench.clock.at = (await bench.row()).due_at
    sqlite.fail_at(2, "before")
    with pytest.raises(StoreFailed):
        await bench.outbox.deliver_one()
    assert (await bench.until_settled()).state == DeliveryState.DELIVERED


@pytest.mark.parametrize(("failures", "sent"), [(SETTLE_TRIES - 1, 1), (SETTLE_TRIES, 2)])
async def test_database_that_is_away_is_waited_for_with_what_has_been_sent(
    sqlite: FailingDatabase, failures: int, sent: int
) -> None:
    receiver = Receiver()
    bench = Bench(sqlite, receiver)
    bench.bells.closing.set()  # Nobody waits for long any more.
    await bench.add()
    sqlite.be_away(1, failures)
    if failures < SETTLE_TRIES:
        await bench.outbox.deliver_one()
    else:
        with pytest.raises(OperationalError):
            await bench.outbox.deliver_one()
    assert (await bench.until_settled()).state == DeliveryState.DELIVERED
    assert len(receiver.requests) == sent


async def test_new_row_is_delivered_at_once(sqlite: Database) -> None:
    receiver = Receiver()
    bench = Bench(sqlite, receiver)
    waiting = asyncio.create_task(bench.outbox.turn())
    await asyncio.sleep(0.05)
    await bench.add()
    bench.bells.deliveries.ring()
    async with asyncio.timeout(2):
        await waiting
        await bench.outbox.turn()
    assert receiver.got_one.is_set()


async def test_row_due_later_is_waited_for(sqlite: Database) -> None:
    receiver = Receiver()
    bench = Bench(sqlite, receiver)
    await bench.add(due_at=START + timedelta(seconds=0.05))
    async with asyncio.timeout(2):
        await bench.outbox.turn()
        bench.clock.advance(0.05)
        await bench.outbox.turn()
    assert receiver.got_one.is_set()


class Hanging:
    """A receiver of two hosts, one of which keeps every request until it is released."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.answered: list[str] = []
        self.changed = asyncio.Condition()
        self.released = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        hangs = request.headers["Host"] == "hangs.example"
        async with self.changed:
            (self.held if hangs else self.answered).append(request.headers["webhook-id"])
            self.changed.notify_all()
        if hangs:
            await self.released.wait()
        return httpx.Response(200)

    async def until(self, held: int, answered: int) -> None:
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(
                lambda: (len(self.held), len(self.answered)) == (held, answered)
            )


async def test_receiver_that_hangs_holds_up_no_other(sqlite: Database) -> None:
    """Of ten due deliveries to it two are under way, and the other receiver's all arrive."""
    receiver = Hanging()
    bench = Bench(sqlite, receiver, per_destination=2)
    for number in range(10):
        await bench.add(f"h{number}", url="https://hangs.example/")
        await bench.add(f"d{number}", due_at=START + timedelta(milliseconds=1))
    bench.clock.advance(1)

    async def work() -> None:
        while not bench.bells.closing.is_set():
            await bench.outbox.turn()

    workers = [asyncio.create_task(work()) for _ in range(6)]
    await receiver.until(held=2, answered=10)
    receiver.released.set()
    # Whoever finishes makes room for the next.
    await receiver.until(held=10, answered=10)
    bench.bells.close()
    async with asyncio.timeout(5):
        await asyncio.gather(*workers)
    assert sorted(receiver.held) == [f"h{number}" for number in range(10)]


async def test_workers_that_fail_do_so_one_after_the_other(sqlite: FailingDatabase) -> None:
    bench = Bench(sqlite, Receiver())
    await bench.add()
    sqlite.fail_at(1, "before")
    first, second = (asyncio.create_task(bench.outbox.turn()) for _ in range(2))
    await asyncio.sleep(0.05)
    assert not first.done()
    assert not second.done()
    bench.bells.closing.set()
    await asyncio.wait([first, second], timeout=3)
    with pytest.raises(StoreFailed):
        await first
    await second
    assert (await bench.row()).attempt == 0


async def test_attempts_are_counted_by_what_came_of_them(sqlite: Database) -> None:
    bench = Bench(sqlite, Receiver(500, httpx.ConnectError("refused"), 200))
    await bench.add()
    await bench.until_settled()
    shown = (await bench.metrics.exposition()).decode()
    for outcome in ("delivered", "refused", "failed"):
        assert f'sidecar_delivery_attempts_total{{outcome="{outcome}"}} 1.0' in shown


def test_schedule_counts_from_the_last_replay() -> None:
    row = Delivery(
        "d1",
        T,
        "c1",
        "desk",
        URL,
        "{}",
        "pending",
        13,
        START,
        START,
        None,
        None,
        attempts_before=10,
    )
    assert row.tried == 3


async def test_delivery_may_be_slow_without_losing_its_lease(sqlite: Database) -> None:
    clock = FakeClock()
    other = Bench(sqlite, Receiver(), clock=clock)

    async def slow(request: httpx.Request) -> httpx.Response:
        clock.advance(59)
        assert not await other.outbox.deliver_one()
        return httpx.Response(200)

    bench = Bench(sqlite, slow, clock=clock, courier_=courier(slow, timeout_s=15))
    await bench.add()
    await bench.outbox.deliver_one()
    assert ((await bench.row()).state, (await bench.row()).attempt) == (DeliveryState.DELIVERED, 1)


HANG_UP = {"kind": "hang_up_call", "url": "https://api.in.exotel.com/v1/Accounts/a/Calls/c1"}


async def test_hang_up_is_soon_given_up(sqlite: Database) -> None:
    receiver = Receiver(*[500] * 20)
    bench = Bench(sqlite, receiver)
    await bench.add(**HANG_UP)
    assert (await bench.until_settled()).state == DeliveryState.DEAD
    assert len(receiver.requests) == 3
    assert bench.clock() - START == timedelta(seconds=35)


async def test_hang_up_that_is_not_needed_any_more_is_not_made(sqlite: Database) -> None:
    receiver = Receiver()
    bench = Bench(sqlite, receiver)
    await bench.add(**HANG_UP, created_at=START - timedelta(hours=1))
    row = await bench.until_settled()
    assert (row.state, row.last_error) == ("delivered", "not needed: the call is long over")
    assert receiver.requests == []
