"""Delivers announcements at least once: claim a row, attempt it, settle it.

The attempt number is counted when a row is claimed and fences the settling, so a worker that lost
its lease changes nothing, and work that kills its worker still comes to an end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import httpx
import structlog
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from sidecar.clock import Clock
from sidecar.egress import EgressGuard, EgressRefused
from sidecar.store import deliveries
from sidecar.store.database import Database
from sidecar.store.deliveries import Attempt, Delivery, DeliveryState
from sidecar.wake import Wake

log = structlog.get_logger(__name__)

LEASE_PER_TIMEOUT = 4
LONGEST_WAIT_S = 5.0
LOST_ATTEMPTS_ALLOWED = 3
"""Claims beyond the schedule that may end without a word before a row is given up."""

FAILURES = (EgressRefused, httpx.HTTPError, TimeoutError, ValueError, EmptyWebhookSecretError)
"""What may keep an attempt from an answer; `ValueError` is a secret that is not base64."""

PARKING_STATUSES = frozenset({413, 422})
"""The receiver has read this body and will never take it."""


class Secrets(Protocol):
    """Finds what signs a bot's results, when it is needed."""

    async def signing_secret(self, tenant_id: str, bot_id: str) -> str:
        """Return a `whsec_…` secret, or "" for unsigned."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient the outbox is, and whom it trusts."""

    delays_s: Sequence[float]
    timeout_s: float
    service_secret: str
    trusted_origins: Sequence[str] = ()


class Outbox:
    """Works off the outbox. Any number may run, here and on other replicas."""

    def __init__(
        self,
        database: Database,
        http: httpx.AsyncClient,
        guard: EgressGuard,
        secrets: Secrets,
        policy: Policy,
        *,
        clock: Clock,
        changed: Wake,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._http = http
        self._guard = guard
        self._secrets = secrets
        self._policy = policy
        self._clock = clock
        self._changed = changed
        self._monotonic = monotonic

    async def turn(self) -> None:
        """Attempt one delivery; without any, wait until one is due or new."""
        armed = self._changed.armed()
        if not await self.deliver_one():
            await Wake.wait(armed, await self._idle_s())

    async def deliver_one(self) -> bool:
        """Attempt the delivery that is due longest. False if none was."""
        now = self._clock()
        lease = timedelta(seconds=LEASE_PER_TIMEOUT * self._policy.timeout_s)
        async with self._database.transaction() as connection:
            delivery = await deliveries.claim(connection, now, now + lease)
        if delivery is None:
            return False
        if delivery.attempt > len(self._policy.delays_s) + LOST_ATTEMPTS_ALLOWED:
            await self._settle(
                delivery, None, DeliveryState.DEAD, error="attempts vanish unsettled"
            )
            return True
        attempt, retry_after_s = await self._attempt(delivery)
        await self._record(delivery, attempt, retry_after_s)
        return True

    async def _attempt(self, delivery: Delivery) -> tuple[Attempt, float]:
        began, at = self._monotonic(), self._clock()
        status_code, error, retry_after_s = None, None, 0.0
        try:
            # The client times each read alone; a trickling receiver must not outlast the lease.
            async with asyncio.timeout(self._policy.timeout_s):
                response = await self._send(delivery, at)
        except FAILURES as problem:
            error = f"{type(problem).__name__}: {problem}"
        else:
            status_code = response.status_code
            after = response.headers.get("Retry-After", "")
            retry_after_s = float(after) if after.isdecimal() else 0.0
        duration_ms = 1000 * (self._monotonic() - began)
        attempt = Attempt(
            delivery.delivery_id, delivery.attempt, at, status_code, error, duration_ms
        )
        return attempt, retry_after_s

    async def _send(self, delivery: Delivery, at: datetime) -> httpx.Response:
        target = await self._guard.check(delivery.url)
        headers = {
            "Content-Type": "application/json",
            "Host": target.host_header,
            "webhook-id": delivery.delivery_id,
            "webhook-timestamp": str(int(at.timestamp())),
        }
        secret = await self._secrets.signing_secret(delivery.tenant_id, delivery.bot_id)
        if secret:
            signature = Webhook(secret).sign(delivery.delivery_id, at, delivery.body)
            headers["webhook-signature"] = signature
        if origin_of(delivery.url) in self._policy.trusted_origins:
            headers["X-VoxCore-Secret"] = self._policy.service_secret
        request = self._http.build_request(
            "POST",
            target.url,
            content=delivery.body,
            headers=headers,
            timeout=self._policy.timeout_s,
            extensions={"sni_hostname": target.server_name},
        )
        response = await self._http.send(request, stream=True, follow_redirects=False)
        # Only the status counts; a body without end must not hold the worker.
        await response.aclose()
        return response

    async def _record(self, delivery: Delivery, attempt: Attempt, retry_after_s: float) -> None:
        status_code = attempt.status_code
        if status_code is not None and 200 <= status_code < 300:
            await self._settle(delivery, attempt, DeliveryState.DELIVERED)
            return
        error = attempt.error or f"status {status_code}"
        if status_code in PARKING_STATUSES:
            await self._settle(delivery, attempt, DeliveryState.PARKED, error=error)
        elif delivery.attempt >= len(self._policy.delays_s):
            await self._settle(delivery, attempt, DeliveryState.DEAD, error=error)
        else:
            longest_s = max(self._policy.delays_s)
            delay_s = max(self._policy.delays_s[delivery.attempt], min(retry_after_s, longest_s))
            await self._settle(
                delivery, attempt, DeliveryState.PENDING, error=error, delay_s=delay_s
            )

    async def _settle(
        self,
        delivery: Delivery,
        attempt: Attempt | None,
        state: DeliveryState,
        *,
        error: str | None = None,
        delay_s: float = 0.0,
    ) -> None:
        now = self._clock()
        async with self._database.transaction() as connection:
            settled = await deliveries.settle(
                connection,
                delivery,
                state=state,
                due_at=now + timedelta(seconds=delay_s),
                settled_at=None if state is DeliveryState.PENDING else now,
                error=error,
            )
            if settled and attempt is not None:
                await deliveries.add_attempt(connection, delivery.tenant_id, attempt)
        log.info(
            "delivery_attempted",
            delivery_id=delivery.delivery_id,
            attempt=delivery.attempt,
            state=state,
            settled=settled,
            error=error,
        )

    async def _idle_s(self) -> float:
        async with self._database.read() as connection:
            due_at = await deliveries.next_due_at(connection)
        if due_at is None:
            return LONGEST_WAIT_S
        return min(LONGEST_WAIT_S, max(0.0, (due_at - self._clock()).total_seconds()))


def origin_of(url: str) -> str:
    """Return `scheme://host[:port]` of a URL, without a port that is the scheme's own."""
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
