"""Delivers announcements at least once: claim a row, attempt it, settle it.

The attempt number is counted when a row is claimed and fences the settling, so a worker that lost
its lease changes nothing, and work that kills its worker still comes to an end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar import exotel_hang_up
from sidecar.clock import Clock
from sidecar.courier import Answer, Courier
from sidecar.metrics import Metrics
from sidecar.schedule import Schedule
from sidecar.store import deliveries, endpoints
from sidecar.store.database import Database
from sidecar.store.deliveries import Attempt, Delivery, DeliveryState
from sidecar.wake import Bells, Wake

log = structlog.get_logger(__name__)

LEASE_PER_TIMEOUT = 4
SETTLE_TRIES = 5
"""A database may be locked for 5 s each time; all of it is well within the lease."""
LONGEST_WAIT_S = 5.0
BUSY_WAIT_S = 1.0
"""How soon to look again where all that is due waits for its destination, or the database fails."""
LOST_ATTEMPTS_ALLOWED = 3
"""Claims beyond the schedule that may end without a word before a row is given up."""

GONE = 410
"""The receiver wants nothing more at this address."""
PARKING_STATUSES = frozenset({GONE, 413, 422})
"""The receiver has read this body and will never take it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery after an attempt; `wait_s` until the next one, if any."""

    state: DeliveryState
    error: str | None = None
    wait_s: float = 0.0
    is_gone: bool = False


class Outbox:
    """Works off the outbox. Any number of workers may run it, here and on other replicas."""

    def __init__(
        self,
        database: Database,
        courier: Courier,
        schedule: Schedule,
        per_destination: int,
        *,
        clock: Clock,
        bells: Bells,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._courier = courier
        self._schedule = schedule
        self._hang_ups = replace(schedule, delays_s=exotel_hang_up.DELAYS_S)
        self._per_destination = per_destination
        self._clock = clock
        self._bells = bells
        self._metrics = metrics
        self._lease_s = LEASE_PER_TIMEOUT * courier.timeout_s
        self._looking = asyncio.Lock()

    async def turn(self) -> None:
        """Attempt one delivery; without any, wait until one is due or new."""
        # One worker looks for work, the others rest behind it: a bell wakes one, not all.
        async with self._looking:
            if self._bells.closing.is_set():
                return
            armed = self._bells.deliveries.armed()
            try:
                delivery = await self._claim()
            except Exception:
                # The workers behind would only fail alike, and at once.
                await Wake.wait(self._bells.closing, BUSY_WAIT_S)
                raise
            if delivery is None:
                await Wake.wait(armed, await self._idle_s())
        if delivery is not None:
            await self._deliver(delivery)

    async def deliver_one(self) -> bool:
        """Attempt the delivery that is due longest. False if none was."""
        delivery = await self._claim()
        if delivery is None:
            return False
        await self._deliver(delivery)
        return True

    async def _claim(self) -> Delivery | None:
        """Take a delivery and count its attempt."""
        now = self._clock()
        leased_until = now + timedelta(seconds=self._lease_s)
        async with self._database.transaction() as connection:
            delivery = await deliveries.claim(connection, now, leased_until, self._per_destination)
            if delivery is not None and delivery.tried < self._schedule_of(delivery).attempts:
                # An attempt that vanishes waits like one that failed, or a process that dies at
                # each start would use up days of patience in minutes.
                delay_s = self._schedule_of(delivery).delay_s(delivery.tried)
                wait_s = max(self._lease_s, delay_s)
                await deliveries.postpone(connection, delivery, now + timedelta(seconds=wait_s))
        return delivery

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            refused = await self._refused_unsent(delivery)
            if refused is not None:
                await self._settle(delivery, refused, None)
                return
            at = self._clock()
            answer = await self._courier.carry(delivery, at)
            self._metrics.delivery_attempted(answer.status_code)
            await self._settle(
                delivery, self._verdict(delivery, answer), _attempt(delivery, at, answer)
            )
        finally:
            # Somebody may have waited for this destination.
            self._bells.deliveries.ring()

    async def _refused_unsent(self, delivery: Delivery) -> Verdict | None:
        """Return why a delivery is not to be attempted, or None."""
        if delivery.tried > self._schedule_of(delivery).attempts + LOST_ATTEMPTS_ALLOWED:
            return Verdict(DeliveryState.DEAD, "attempts vanish unsettled")
        async with self._database.read() as connection:
            if delivery.kind in exotel_hang_up.KINDS:
                moot = await exotel_hang_up.why_not(connection, delivery, self._clock())
                return Verdict(DeliveryState.DELIVERED, moot) if moot else None
            disabled = await endpoints.is_disabled(connection, delivery.tenant_id, delivery.url)
        return Verdict(DeliveryState.PARKED, deliveries.DISABLED) if disabled else None

    def _verdict(self, delivery: Delivery, answer: Answer) -> Verdict:
        if answer.is_success:
            return Verdict(DeliveryState.DELIVERED)
        error = answer.error or f"status {answer.status_code}"
        if answer.status_code in PARKING_STATUSES:
            return Verdict(DeliveryState.PARKED, error, is_gone=answer.status_code == GONE)
        schedule = self._schedule_of(delivery)
        if delivery.tried >= schedule.attempts:
            return Verdict(DeliveryState.DEAD, error)
        wait_s = schedule.delay_s(delivery.tried, answer.asked_s)
        return Verdict(DeliveryState.PENDING, error, wait_s)

    async def _settle(self, delivery: Delivery, verdict: Verdict, attempt: Attempt | None) -> None:
        now = self._clock()

        async def settle(connection: AsyncConnection) -> bool:
            settled = await deliveries.settle(
                connection,
                delivery,
                state=verdict.state,
                due_at=now + timedelta(seconds=verdict.wait_s),
                settled_at=None if verdict.state is DeliveryState.PENDING else now,
                error=verdict.error,
            )
            if settled and attempt is not None:
                await deliveries.add_attempt(connection, delivery.tenant_id, attempt)
            if settled and verdict.is_gone:
                tenant_id, url = delivery.tenant_id, delivery.url
                await endpoints.disable(connection, tenant_id, url, f"status {GONE}", now)
                await deliveries.park_all(connection, tenant_id, url, now)
            return settled

        settled = await self._insist(settle)
        log.info(
            "delivery_attempted",
            delivery_id=delivery.delivery_id,
            attempt=delivery.attempt,
            state=verdict.state,
            settled=settled,
            error=verdict.error,
        )
        if settled and verdict.is_gone:
            log.warning("endpoint_disabled", destination=delivery.destination)

    async def _insist(self, settle: Callable[[AsyncConnection], Awaitable[bool]]) -> bool:
        # It has been sent: better to wait for a database that is away than to send it twice.
        for _ in range(SETTLE_TRIES - 1):
            try:
                return await self._database.run(settle)
            except (DBAPIError, OSError) as error:
                log.warning("settling_failed", error=type(error).__name__)
                await Wake.wait(self._bells.closing, BUSY_WAIT_S)
        return await self._database.run(settle)

    def _schedule_of(self, delivery: Delivery) -> Schedule:
        return self._hang_ups if delivery.kind in exotel_hang_up.KINDS else self._schedule

    async def _idle_s(self) -> float:
        async with self._database.read() as connection:
            due_at = await deliveries.next_due_at(connection)
        if due_at is None:
            return LONGEST_WAIT_S
        due_in_s = (due_at - self._clock()).total_seconds()
        return min(LONGEST_WAIT_S, due_in_s if due_in_s > 0 else BUSY_WAIT_S)


def _attempt(delivery: Delivery, at: datetime, answer: Answer) -> Attempt:
    return Attempt(
        delivery_id=delivery.delivery_id,
        attempt=delivery.attempt,
        at=at,
        status_code=answer.status_code,
        error=answer.error,
        duration_ms=answer.duration_ms,
        response=answer.response,
    )
