"""The outbox table: a row is claimed by a conditional update, and its attempt number fences it.

`due_at` says when a pending row may be claimed, `leased_until` that somebody attempts it now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.origin import origin_of
from sidecar.store import endpoints
from sidecar.store.tables import GIVEN_UP, PENDING, deliveries, delivery_attempts

MOST_DESTINATION_CHARS = 300
"""More than any host's name has; Postgres cannot index what is longer than a page's third."""
DISABLED = "the endpoint is disabled"


class DeliveryState(StrEnum):
    """`PARKED` is a receiver that will never take this body; `DEAD` one that took too long."""

    PENDING = "pending"
    DELIVERED = "delivered"
    PARKED = "parked"
    DEAD = "dead"


UNDELIVERED = (DeliveryState.PARKED, DeliveryState.DEAD)
"""What was given up, and waits for somebody to replay it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One announcement to one destination."""

    delivery_id: str
    tenant_id: str
    call_id: str
    bot_id: str
    url: str
    body: str
    state: str
    attempt: int
    """Counted at each claim, and never back: the number fences, and names the attempt."""
    created_at: datetime
    due_at: datetime
    settled_at: datetime | None
    last_error: str | None
    kind: str = "webhook"
    method: str = "POST"
    destination: str = ""
    """`scheme://host[:port]` of the URL: one destination that hangs holds up no other."""
    leased_until: datetime | None = None
    attempts_before: int = 0
    """Attempts made before it was last replayed: the schedule counts from there."""

    @property
    def tried(self) -> int:
        """Attempts since it was made, or last replayed."""
        return self.attempt - self.attempts_before


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one try came to. Exactly one of `status_code` and `error` is set."""

    delivery_id: str
    attempt: int
    at: datetime
    status_code: int | None
    error: str | None
    duration_ms: float
    response: str = ""
    """The beginning of what was answered."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries of a tenant are meant. What is None, or names nothing, leaves all in."""

    delivery_id: str | None = None
    call_id: str | None = None
    bot_ids: Sequence[str] | None = None
    """An empty one leaves none in: a key that sees no bot."""
    states: Sequence[str] = ()
    destination: str | None = None
    kind: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None

    def within(self, tenant_id: str) -> ColumnElement[bool]:
        """Return the condition."""
        conditions: list[ColumnElement[bool]] = [deliveries.c.tenant_id == tenant_id]
        for name in ("delivery_id", "call_id", "destination", "kind"):
            if (value := getattr(self, name)) is not None:
                conditions.append(deliveries.c[name] == value)
        if self.bot_ids is not None:
            conditions.append(deliveries.c.bot_id.in_(self.bot_ids))
        if self.states:
            conditions.append(deliveries.c.state.in_(self.states))
        if self.created_from is not None:
            conditions.append(deliveries.c.created_at >= self.created_from)
        if self.created_before is not None:
            conditions.append(deliveries.c.created_at < self.created_before)
        return and_(*conditions)


ALL = Wanted()
_COLUMNS = [deliveries.c[name] for name in Delivery.__slots__]
_ATTEMPT_COLUMNS = [delivery_attempts.c[name] for name in Attempt.__slots__]


async def add(connection: AsyncConnection, delivery: Delivery) -> None:
    """Put an announcement into the outbox, in the transaction of the fact it announces.

    Its destination is filled in. For a disabled endpoint it is parked from the start.
    """
    destination = origin_of(delivery.url)[:MOST_DESTINATION_CHARS]
    delivery = replace(delivery, destination=destination)
    if await endpoints.is_disabled(connection, delivery.tenant_id, delivery.url):
        delivery = replace(
            delivery,
            state=DeliveryState.PARKED,
            settled_at=delivery.created_at,
            last_error=DISABLED,
        )
    values = {name: getattr(delivery, name) for name in Delivery.__slots__}
    await connection.execute(insert(deliveries).values(values))


async def claim(
    connection: AsyncConnection, now: datetime, leased_until: datetime, per_destination: int
) -> Delivery | None:
    """Take the delivery that is due longest, for nobody else to get, and count the attempt.

    Passed over are destinations at which `per_destination` attempts are under way. Replicas that
    claim in the same instant may exceed that by one each: counting exactly would take a lock, and
    a replica that freezes with it would hold up the deliveries of all.
    """
    others = deliveries.alias()
    busy = (
        select(others.c.destination)
        .where(others.c.leased_until > now)
        .group_by(others.c.destination)
        .having(func.count() >= per_destination)
    )
    ready = and_(
        deliveries.c.state == DeliveryState.PENDING,
        deliveries.c.due_at <= now,
        deliveries.c.destination.not_in(busy),
    )
    first = (
        select(deliveries.c.delivery_id)
        .where(ready)
        .order_by(deliveries.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True, of=deliveries)
        .scalar_subquery()
    )
    # The condition is repeated outside: two claimants may pick the same row inside.
    taken = (
        update(deliveries)
        .where(deliveries.c.delivery_id == first, ready)
        .values(attempt=deliveries.c.attempt + 1, due_at=leased_until, leased_until=leased_until)
        .returning(*_COLUMNS)
    )
    row = (await connection.execute(taken)).one_or_none()
    return None if row is None else Delivery(*row)


async def postpone(connection: AsyncConnection, delivery: Delivery, due_at: datetime) -> None:
    """Say when somebody else may claim this, should its claimant never be heard of again."""
    mine = deliveries.c.delivery_id == delivery.delivery_id
    await connection.execute(update(deliveries).where(mine).values(due_at=due_at))


async def settle(
    connection: AsyncConnection,
    delivery: Delivery,
    *,
    state: DeliveryState,
    due_at: datetime,
    settled_at: datetime | None,
    error: str | None,
) -> bool:
    """Record what an attempt came to. False, and no effect, if the row is not its claimant's."""
    mine = and_(
        deliveries.c.delivery_id == delivery.delivery_id,
        deliveries.c.attempt == delivery.attempt,
        deliveries.c.state == DeliveryState.PENDING,
        # Parked or replayed since then, it is nobody's.
        deliveries.c.leased_until.is_not(None),
    )
    settled = (
        update(deliveries)
        .where(mine)
        .values(
            state=state, due_at=due_at, settled_at=settled_at, last_error=error, leased_until=None
        )
    )
    return (await connection.execute(settled)).rowcount == 1


async def add_attempt(connection: AsyncConnection, tenant_id: str, attempt: Attempt) -> None:
    values: dict[str, Any] = {name: getattr(attempt, name) for name in Attempt.__slots__}
    await connection.execute(insert(delivery_attempts).values(tenant_id=tenant_id, **values))


async def park_all(connection: AsyncConnection, tenant_id: str, url: str, now: datetime) -> int:
    """Park what is pending for a disabled endpoint; what is being attempted settles by itself."""
    waiting = and_(
        deliveries.c.tenant_id == tenant_id,
        deliveries.c.url == url,
        deliveries.c.state == DeliveryState.PENDING,
        _is_free(now),
    )
    parked = update(deliveries).where(waiting)
    parked = parked.values(
        state=DeliveryState.PARKED, settled_at=now, last_error=DISABLED, leased_until=None
    )
    return (await connection.execute(parked)).rowcount


async def replay(connection: AsyncConnection, tenant_id: str, wanted: Wanted, now: datetime) -> int:
    """Make deliveries pending again, body and id unchanged, and return how many.

    Their schedule starts anew, and their endpoints are enabled. What is being attempted at this
    moment is left alone.
    """
    condition = wanted.within(tenant_id)
    await endpoints.enable_those(connection, tenant_id, select(deliveries.c.url).where(condition))
    anew = update(deliveries).where(condition, _is_free(now))
    anew = anew.values(
        state=DeliveryState.PENDING,
        due_at=now,
        settled_at=None,
        leased_until=None,
        attempts_before=deliveries.c.attempt,
    )
    return (await connection.execute(anew)).rowcount


async def next_due_at(connection: AsyncConnection) -> datetime | None:
    """Return when the next pending delivery of any tenant is due."""
    return await _earliest(connection, deliveries.c.due_at)


async def oldest_pending_at(connection: AsyncConnection) -> datetime | None:
    """Return when the oldest pending delivery of any tenant was made."""
    return await _earliest(connection, deliveries.c.created_at)


async def backlog(connection: AsyncConnection) -> dict[str, int]:
    """Return how many deliveries of all tenants wait, and how many were given up, by state."""
    count = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
    found = dict.fromkeys((DeliveryState.PENDING, *UNDELIVERED), 0)
    for some in (PENDING, GIVEN_UP):
        found |= {
            DeliveryState(row[0]): row[1] for row in await connection.execute(count.where(some))
        }
    return {state.value: number for state, number in found.items()}


async def get(connection: AsyncConnection, tenant_id: str, delivery_id: str) -> Delivery | None:
    wanted = Wanted(delivery_id=delivery_id).within(tenant_id)
    row = (await connection.execute(select(*_COLUMNS).where(wanted))).one_or_none()
    return None if row is None else Delivery(*row)


async def page(
    connection: AsyncConnection,
    tenant_id: str,
    wanted: Wanted = ALL,
    *,
    before: Delivery | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """Return deliveries, newest first; those after `before` in this order, if it is given."""
    newest = select(*_COLUMNS).where(wanted.within(tenant_id))
    if before is not None:
        # Several are made at the same time, so the time alone is no place in the list.
        of_that_time = and_(
            deliveries.c.created_at == before.created_at,
            deliveries.c.delivery_id < before.delivery_id,
        )
        newest = newest.where(or_(deliveries.c.created_at < before.created_at, of_that_time))
    newest = newest.order_by(deliveries.c.created_at.desc(), deliveries.c.delivery_id.desc())
    return [Delivery(*row) for row in await connection.execute(newest.limit(limit))]


async def attempts(
    connection: AsyncConnection, tenant_id: str, delivery_ids: Sequence[str]
) -> list[Attempt]:
    """Return the attempts of some deliveries, in order."""
    mine = and_(
        delivery_attempts.c.tenant_id == tenant_id,
        delivery_attempts.c.delivery_id.in_(delivery_ids),
    )
    statement = select(*_ATTEMPT_COLUMNS).where(mine).order_by(delivery_attempts.c.attempt)
    return [Attempt(*row) for row in await connection.execute(statement)]


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(deliveries.c.leased_until.is_(None), deliveries.c.leased_until <= now)


async def _earliest(
    connection: AsyncConnection, column: ColumnElement[datetime]
) -> datetime | None:
    at: datetime | None = await connection.scalar(select(func.min(column)).where(PENDING))
    return at
