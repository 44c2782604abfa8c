"""The outbox: schedule, signatures, fencing, and at least once through every crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from sidecar.clock import utc_now
from sidecar.egress import EgressGuard
from sidecar.outbox import LOST_ATTEMPTS_ALLOWED, Outbox, Policy, origin_of
from sidecar.settings import RETRY_DELAYS_S
from sidecar.store import deliveries
from sidecar.store.database import Database
from sidecar.store.deliveries import Delivery, DeliveryState
from sidecar.wake import Wake
from tests.fakes.control_plane import START, FakeClock
from tests.fakes.failing_database import FailingDatabase, StoreFailed, When

T = "default"
SECRET = "whsec_c2VjcmV0LW9mLXRoZS1wbGF0Zm9ybQ=="
Answer = Callable[[httpx.Request], httpx.Response]


class Receiver:
    """A receiver of results that answers as told and remembers what came."""

    def __init__(self, *answers: int | Exception | httpx.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.got_one = asyncio.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.got_one.set()
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(answer)


class FixedSecret:
    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def signing_secret(self, tenant_id: str, bot_id: str) -> str:
        return self._secret


async def public(host: str, port: int) -> list[str]:
    return ["93.184.215.14"]


class Bench:
    """An outbox over a database, with a receiver and a clock."""

    def __init__(
        self,
        database: Database,
        receiver: Receiver,
        *,
        secret: str = SECRET,
        clock: FakeClock | None = None,
        timeout_s: float = 15,
        **policy: Any,
    ) -> None:
        self.database = database
        self.clock = clock or FakeClock()
        self.changed = Wake()
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(receiver))
        self.outbox = Outbox(
            database,
            self.http,
            EgressGuard(allow_private=False, resolve=public),
            FixedSecret(secret),
            Policy(RETRY_DELAYS_S, timeout_s, "service-secret", **policy),
            clock=self.clock,
            changed=self.changed,
        )

    async def add(self, delivery_id: str = "d1", **changes: Any) -> None:
        given: dict[str, Any] = {
            "delivery_id": delivery_id,
            "tenant_id": T,
            "call_id": "c1",
            "bot_id": "desk",
            "url": "https://crm.example/results?x=1",
            "body": '{"session_id":"s1"}',
            "state": DeliveryState.PENDING,
            "attempt": 0,
            "created_at": self.clock(),
            "due_at": self.clock(),
            "settled_at": None,
            "last_error": None,
            **changes,
        }
        async with self.database.transaction() as connection:
            await deliveries.add(connection, Delivery(**given))

    async def row(self) -> Delivery:
        async with self.database.read() as connection:
            (row,) = await deliveries.page(connection, T)
        return row

    async def until_settled(self) -> Delivery:
        """Let time pass from one due delivery to the next, until nothing is pending."""
        while (row := await self.row()).state == DeliveryState.PENDING:
            self.clock.at = max(self.clock.at, row.due_at)
            await self.outbox.deliver_one()
        return row


async def test_delivery_is_signed_by_standard_webhooks(sqlite: Database) -> None:
    receiver = Receiver(204)
    bench = Bench(sqlite, receiver, clock=FakeClock(utc_now()))
    await bench.add()
    assert await bench.outbox.deliver_one()
    (request,) = receiver.requests
    Webhook(SECRET).verify(request.content, dict(request.headers))
    assert request.headers["webhook-id"] == "d1"
    assert request.content == b'{"session_id":"s1"}'
    assert (await bench.row()).state == DeliveryState.DELIVERED


async def test_request_goes_to_the_address_that_was_checked(sqlite: Database) -> None:
    receiver = Receiver()
    bench = Bench(sqlite, receiver)
    await bench.add()
    await bench.outbox.deliver_one()
    (request,) = receiver.requests
    assert str(request.url) == "https://93.184.215.14/results?x=1"
    assert request.headers["Host"] == "crm.example"
    assert request.extensions["sni_hostname"] == "crm.example"


async def test_without_a_secret_nothing_is_signed(sqlite: Database) -> None:
    receiver = Receiver()
    bench = Bench(sqlite, receiver, secret="")
    await bench.add()
    await bench.outbox.deliver_one()
    assert "webhook-signature" not in receiver.requests[0].headers
    assert receiver.requests[0].headers["webhook-id"] == "d1"


@pytest.mark.parametrize(
    ("origins", "sent"),
    [
        ([], False),
        (["https://crm.example"], True),
        (["https://crm.example.evil"], False),
        (["http://crm.example"], False),
    ],
)
async def test_service_secret_goes_to_trusted_origins_alone(
    sqlite: Database, origins: list[str], sent: bool
) -> None:
    receiver = Receiver()
    bench = Bench(sqlite, receiver, trusted_origins=origins)
    await bench.add()
    await bench.outbox.deliver_one()
    assert ("X-VoxCore-Secret" in receiver.requests[0].headers) is sent


async def test_failures_follow_the_schedule_to_the_dead_letter(sqlite: Database) -> None:
    receiver = Receiver(*[500] * 20)
    bench = Bench(sqlite, receiver)
    await bench.add()
    row = await bench.until_settled()
    assert row.state == DeliveryState.DEAD
    assert row.last_error == "status 500"
    assert len(receiver.requests) == len(RETRY_DELAYS_S) == 10
    assert bench.clock() - START == timedelta(hours=75, minutes=35, seconds=5)


async def test_every_attempt_is_on_record(sqlite: Database) -> None:
    bench = Bench(sqlite, Receiver(500, httpx.ConnectError("refused"), 200))
    await bench.add()
    await bench.until_settled()
    async with sqlite.read() as connection:
        attempts = await deliveries.attempts(connection, T, ["d1"])
    assert [(a.attempt, a.status_code, a.error) for a in attempts] == [
        (1, 500, None),
        (2, None, "ConnectError: refused"),
        (3, 200, None),
    ]


@pytest.mark.parametrize("status", [413, 422])
async def test_body_the_receiver_cannot_take_is_parked(sqlite: Database, status: int) -> None:
    bench = Bench(sqlite, Receiver(status))
    await bench.add()
    await bench.outbox.deliver_one()
    assert (await bench.row()).state == DeliveryState.PARKED


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 410, 429, 503])
async def test_everything_else_is_tried_again(sqlite: Database, status: int) -> None:
    moved = httpx.Response(status, headers={"Location": "https://elsewhere.example"})
    receiver = Receiver(moved)
    bench = Bench(sqlite, receiver)
    await bench.add()
    await bench.outbox.deliver_one()
    row = await bench.row()
    assert (row.state, row.due_at) == (DeliveryState.PENDING, START + timedelta(seconds=5))
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("retry_after", "waited_s"), [("60", 60), ("1", 5), ("9999999", 86_400), ("soon", 5)]
)
async def test_retry_after_is_honoured_within_the_schedule(
    sqlite: Database, retry_after: str, waited_s: float
) -> None:
    bench = Bench(sqlite, Receiver(httpx.Response(503, headers={"Retry-After": retry_after})))
    await bench.add()
    await bench.outbox.deliver_one()
    assert (await bench.row()).due_at == START + timedelta(seconds=waited_s)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_a"])
async def test_unusable_secret_is_a_failed_attempt(sqlite: Database, secret: str) -> None:
    receiver = Receiver()
    bench = Bench(sqlite, receiver, secret=secret)
    await bench.add()
    await bench.outbox.deliver_one()
    assert receiver.requests == []
    assert (await bench.row()).last_error is not None


async def test_forbidden_address_is_a_failed_attempt(sqlite: Database) -> None:
    receiver = Receiver()
    bench = Bench(sqlite, receiver)
    await bench.add(url="file:///etc/passwd")
    await bench.outbox.deliver_one()
    assert receiver.requests == []
    assert "EgressRefused" in str((await bench.row()).last_error)


async def test_receiver_that_never_answers_is_cut_off(sqlite: Database) -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    bench = Bench(sqlite, Receiver(), timeout_s=0.01)
    bench.outbox._http = httpx.AsyncClient(transport=httpx.MockTransport(hang))
    await bench.add()
    await bench.outbox.deliver_one()
    assert "TimeoutError" in str((await bench.row()).last_error)


async def test_nothing_due_is_nothing_done(sqlite: Database) -> None:
    bench = Bench(sqlite, Receiver())
    assert not await bench.outbox.deliver_one()


async def test_worker_that_lost_its_lease_changes_nothing(sqlite: Database) -> None:
    """A slow attempt fails after another worker has delivered: delivered it stays."""
    clock = FakeClock()
    fast = Bench(sqlite, Receiver(200), clock=clock)

    async def slow(request: httpx.Request) -> httpx.Response:
        clock.advance(60)
        assert await fast.outbox.deliver_one()
        return httpx.Response(500)

    bench = Bench(sqlite, Receiver(), clock=clock)
    bench.outbox._http = httpx.AsyncClient(transport=httpx.MockTransport(slow))
    await bench.add()
    await bench.outbox.deliver_one()
    row = await bench.row()
    assert (row.state, row.attempt, row.last_error) == (DeliveryState.DELIVERED, 2, None)


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
    assert {request.headers["webhook-id"] for request in receiver.requests} == {"d1"}
    assert 1 <= len(receiver.requests) <= 2


async def test_crash_loop_ends_as_a_dead_letter(sqlite: FailingDatabase) -> None:
    """An attempt that always kills its worker is counted all the same."""
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


async def test_new_row_is_delivered_at_once(sqlite: Database) -> None:
    receiver = Receiver()
    bench = Bench(sqlite, receiver)
    waiting = asyncio.create_task(bench.outbox.turn())
    await asyncio.sleep(0.05)
    await bench.add()
    bench.changed.ring()
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


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://crm.example/x", "https://crm.example"),
        ("https://crm.example:443/x", "https://crm.example"),
        ("http://crm.example:8080/", "http://crm.example:8080"),
        ("https://user:pass@crm.example/", "https://crm.example"),
    ],
)
def test_origin_leaves_out_what_is_not_the_origin(url: str, origin: str) -> None:
    assert origin_of(url) == origin
