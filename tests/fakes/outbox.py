"""An outbox over a database, with receivers that answer as told and a clock set by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from sidecar.courier import Courier, Trust
from sidecar.egress import EgressGuard
from sidecar.metrics import Metrics
from sidecar.outbox import Outbox
from sidecar.schedule import Schedule
from sidecar.settings import RETRY_DELAYS_S
from sidecar.signing import secrets_of
from sidecar.store import deliveries
from sidecar.store.database import Database
from sidecar.store.deliveries import Delivery, DeliveryState
from sidecar.wake import Bells
from tests.fakes.control_plane import FakeClock

T = "default"
URL = "https://crm.example/results?x=1"
SECRET = "whsec_c2VjcmV0LW9mLXRoZS1wbGF0Zm9ybQ=="
Answer = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


class Receiver:
    """A receiver that answers as told, then 200, and remembers what came."""

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

    @property
    def bodies(self) -> dict[str, set[bytes]]:
        """Return every body that came, by the id it came under."""
        found: dict[str, set[bytes]] = {}
        for request in self.requests:
            found.setdefault(request.headers["webhook-id"], set()).add(request.content)
        return found


class FixedSecrets:
    """The same secrets for every bot."""

    def __init__(self, *secrets: str) -> None:
        self._secrets = secrets

    async def signing_secrets(self, tenant_id: str, bot_id: str) -> list[str]:
        return secrets_of(" ".join(self._secrets))


class FixedHeaders:
    """The same credentials for every delivery, or an error."""

    def __init__(self, found: Mapping[str, str] | Exception) -> None:
        self._found = found

    async def headers(self, delivery: Delivery) -> Mapping[str, str]:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


async def public(host: str, port: int) -> list[str]:
    """Resolve any name to an address that is nobody's here."""
    return ["93.184.215.14"]


def delivery(clock: FakeClock, delivery_id: str = "d1", **changes: Any) -> Delivery:
    """Return a delivery that is due now."""
    given: dict[str, Any] = {
        "delivery_id": delivery_id,
        "tenant_id": T,
        "call_id": "c1",
        "bot_id": "desk",
        "url": URL,
        "body": '{"session_id":"s1"}',
        "state": DeliveryState.PENDING,
        "attempt": 0,
        "created_at": clock(),
        "due_at": clock(),
        "settled_at": None,
        "last_error": None,
        **changes,
    }
    return Delivery(**given)


def courier(
    receiver: Answer,
    *,
    secrets: tuple[str, ...] = (SECRET,),
    headers: Mapping[str, str] | Exception | None = None,
    origins: tuple[str, ...] = (),
    timeout_s: float = 15,
) -> Courier:
    """Return a courier whose requests all go to `receiver`."""
    return Courier(
        httpx.AsyncClient(transport=httpx.MockTransport(receiver)),  # type: ignore[arg-type]
        EgressGuard(allow_private=False, resolve=public),
        FixedSecrets(*secrets),
        FixedHeaders(headers or {}),
        Trust("service-secret", origins),
        timeout_s=timeout_s,
    )


class Bench:
    """An outbox, what it needs, and hands to work it."""

    def __init__(
        self,
        database: Database,
        receiver: Answer,
        *,
        clock: FakeClock | None = None,
        per_destination: int = 4,
        courier_: Courier | None = None,
    ) -> None:
        self.database = database
        self.clock = clock or FakeClock()
        self.bells = Bells()
        self.metrics = Metrics(database, self.clock)
        self.outbox = Outbox(
            database,
            courier_ or courier(receiver),
            Schedule(RETRY_DELAYS_S, lambda: 0.0),
            per_destination,
            clock=self.clock,
            bells=self.bells,
            metrics=self.metrics,
        )

    async def add(self, delivery_id: str = "d1", **changes: Any) -> None:
        async with self.database.transaction() as connection:
            await deliveries.add(connection, delivery(self.clock, delivery_id, **changes))

    async def row(self, delivery_id: str = "d1") -> Delivery:
        async with self.database.read() as connection:
            row = await deliveries.get(connection, T, delivery_id)
        assert row is not None
        return row

    async def attempts(self, delivery_id: str = "d1") -> list[deliveries.Attempt]:
        async with self.database.read() as connection:
            return await deliveries.attempts(connection, T, [delivery_id])

    async def replay(self, **wanted: Any) -> int:
        async with self.database.transaction() as connection:
            return await deliveries.replay(connection, T, deliveries.Wanted(**wanted), self.clock())

    async def until_settled(self, delivery_id: str = "d1") -> Delivery:
        """Let time pass from one due delivery to the next, until this one is not pending."""
        while (row := await self.row(delivery_id)).state == DeliveryState.PENDING:
            self.clock.at = max(self.clock.at, row.due_at)
            await self.outbox.deliver_one()
        return row
