"""The outbox table: a row is claimed by a conditional update, and its attempt number fences it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.tables import GIVEN_UP, PENDING, deliveries, delivery_attempts


class DeliveryState(StrEnum):
    """`PARKED` is a receiver that will never take this body; `DEAD` one that took too long."""

    PENDING = "pending"
    DELIVERED = "delivered"
    PARKED = "parked"
    DEAD = "dead"


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
    created_at: datetime
    due_at: datetime
    settled_at: datetime | None
    last_error: str | None
    kind: str = "webhook"
    method: str = "POST"
    destination: str = ""
    """`scheme://host[:port]` of the URL: one destination that hangs holds up no other."""


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


_COLUMNS = [deliveries.c[name] for name in Delivery.__slots__]
_ATTEMPT_COLUMNS = [delivery_attempts.c[name] for name in Attempt.__slots__]


async def add(connection: AsyncConnection, delivery: Delivery) -> None:
    """Put an announcement into the outbox, in the transaction of the fact it announces."""
    values = {name: getattr(delivery, name) for name in Delivery.__slots__}
    await connection.execute(insert(deliveries).values(values))


async def claim(
    connection: AsyncConnection, now: datetime, leased_until: datetime
) -> Delivery | None:
    """Take the delivery that is due longest, for nobody else to get, and count the attempt."""
    ready = and_(deliveries.c.state == DeliveryState.PENDING, deliveries.c.due_at <= now)
    first = (
        select(deliveries.c.delivery_id)
        .where(ready)
        .order_by(deliveries.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    # The condition is repeated outside: two claimants may pick the same row inside.
    taken = (
        update(deliveries)
        .where(deliveries.c.delivery_id == first, ready)
        .values(attempt=deliveries.c.attempt + 1, due_at=leased_until)
        .returning(*_COLUMNS)
    )
    row = (await connection.execute(taken)).one_or_none()
    return None if row is None else Delivery(*row)


async def settle(
    connection: AsyncConnection,
    delivery: Delivery,
    *,
    state: DeliveryState,
    due_at: datetime,
    settled_at: datetime | None,
    error: str | None,
) -> bool:
    """Record what an attempt came to. False, and no effect, if somebody has claimed it since."""
    mine = and_(
        deliveries.c.delivery_id == delivery.delivery_id,
        deliveries.c.attempt == delivery.attempt,
        deliveries.c.state == DeliveryState.PENDING,
    )
    settled = update(deliveries).where(mine)
    settled = settled.values(state=state, due_at=due_at, settled_at=settled_at, last_error=error)
    return (await connection.execute(settled)).rowcount == 1


async def add_attempt(connection: AsyncConnection, tenant_id: str, attempt: Attempt) -> None:
    values: dict[str, Any] = {name: getattr(attempt, name) for name in Attempt.__slots__}
    await connection.execute(insert(delivery_attempts).values(tenant_id=tenant_id, **values))


async def next_due_at(connection: AsyncConnection) -> datetime | None:
    """Return when the next pending delivery of any tenant is due."""
    pending = deliveries.c.state == DeliveryState.PENDING
    at: datetime | None = await connection.scalar(
        select(func.min(deliveries.c.due_at)).where(pending)
    )
    return at


async def backlog(connection: AsyncConnection) -> dict[str, int]:
    """Return how many deliveries of all tenants wait, and how many were given up, by state."""
    count = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
    found = dict.fromkeys((DeliveryState.PENDING, DeliveryState.PARKED, DeliveryState.DEAD), 0)
    for some in (PENDING, GIVEN_UP):
        found |= {
            DeliveryState(row[0]): row[1] for row in await connection.execute(count.where(some))
        }
    return {state.value: number for state, number in found.items()}


async def page(
    connection: AsyncConnection,
    tenant_id: str,
    *,
    call_id: str | None = None,
    bot_ids: Sequence[str] | None = None,
    states: Sequence[str] = (),
    limit: int = 50,
) -> list[Delivery]:
    """Return deliveries, newest first."""
    wanted: list[ColumnElement[bool]] = [deliveries.c.tenant_id == tenant_id]
    if call_id is not None:
        wanted.append(deliveries.c.call_id == call_id)
    if bot_ids is not None:
        wanted.append(deliveries.c.bot_id.in_(bot_ids))
    if states:
        wanted.append(deliveries.c.state.in_(states))
    newest = select(*_COLUMNS).where(*wanted).order_by(deliveries.c.created_at.desc()).limit(limit)
    return [Delivery(*row) for row in await connection.execute(newest)]


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
