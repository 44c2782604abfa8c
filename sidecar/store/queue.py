"""Outgoing calls that may wait for a slot: taken in order, by one dispatcher at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.telephony import queue_items

_OPEN = text("state in ('pending', 'dispatching')")
"""The index's own words: SQLite goes by a partial index only where a query repeats them."""


class QueueState(StrEnum):
    """Where an item stands; the values are what `GET /call/queue/{queue_id}` says."""

    PENDING = "pending"
    DISPATCHING = "dispatching"
    DISPATCHED = "dispatched"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """One call that waits.

    Attributes:
        metadata: what the bot is to know of the call.
        retry_count: attempts that failed for a passing reason of ours.
        due_at: when it is looked at next; while it is being dispatched, when whoever does counts as
            dead.
        expires_at: until when it may wait.
        call_id: the call it became.
    """

    queue_id: str
    tenant_id: str
    idempotency_key: str
    bot_id: str
    trunk_id: str
    to_number: str
    call_service: str
    queued_at: datetime
    due_at: datetime
    expires_at: datetime
    metadata: dict[str, Any] = field(default_factory=dict)
    state: str = QueueState.PENDING
    retry_count: int = 0
    last_error: str | None = None
    call_id: str | None = None
    dispatched_at: datetime | None = None


_IS_LEFT = queue_items.c.state == QueueState.DISPATCHING
"""Of an item that is due: its dispatcher has died over it."""
_NAMES = tuple(QueueItem.__dataclass_fields__)
_COLUMNS = [queue_items.c[name] for name in _NAMES]


def _item(values: Any) -> QueueItem:
    return QueueItem(**dict(zip(_NAMES, values, strict=True)))


async def add(connection: AsyncConnection, item: QueueItem) -> None:
    values = {name: getattr(item, name) for name in _NAMES}
    await connection.execute(insert(queue_items).values(values))


async def get(connection: AsyncConnection, tenant_id: str, queue_id: str) -> QueueItem | None:
    mine = queue_items.c.queue_id == queue_id
    return await _one(connection, queue_items.c.tenant_id == tenant_id, mine)


async def by_key(connection: AsyncConnection, tenant_id: str, key: str) -> QueueItem | None:
    mine = queue_items.c.idempotency_key == key
    return await _one(connection, queue_items.c.tenant_id == tenant_id, mine)


async def waiting_for(connection: AsyncConnection, now: datetime) -> Sequence[tuple[str, str]]:
    """Return `(tenant_id, trunk_id)` of every trunk that an item which is due is to go by."""
    query = select(queue_items.c.tenant_id, queue_items.c.trunk_id).distinct()
    rows = await connection.execute(query.where(_OPEN, queue_items.c.due_at <= now))
    return [(row.tenant_id, row.trunk_id) for row in rows]


async def open_by_state(connection: AsyncConnection) -> dict[str, int]:
    """Return how many items of all tenants wait, and how many are being dispatched."""
    state = queue_items.c.state
    count = select(state, func.count()).where(_OPEN).group_by(state)
    found = {QueueState.PENDING.value: 0, QueueState.DISPATCHING.value: 0}
    return found | {row[0]: row[1] for row in await connection.execute(count)}


async def oldest_at(connection: AsyncConnection) -> datetime | None:
    """Return when the item was queued that has waited longest; None if none waits."""
    oldest = select(func.min(queue_items.c.queued_at)).where(_OPEN)
    at: datetime | None = await connection.scalar(oldest)
    return at


async def is_any_left(connection: AsyncConnection, now: datetime) -> bool:
    """Return whether there is an item whose dispatcher has died."""
    left = select(queue_items.c.queue_id).where(_OPEN, queue_items.c.due_at <= now, _IS_LEFT)
    return await connection.scalar(left.limit(1)) is not None


async def expire(connection: AsyncConnection, now: datetime, error: str) -> int:
    """Fail what has waited too long; return how many there were.

    Args:
        connection: the transaction.
        now: the time.
        error: what to tell of those that have not been told anything yet.
    """
    late = and_(_OPEN, queue_items.c.state == QueueState.PENDING, queue_items.c.expires_at <= now)
    failed = update(queue_items).where(late)
    last_error = func.coalesce(queue_items.c.last_error, error)
    gone = await connection.execute(failed.values(state=QueueState.FAILED, last_error=last_error))
    return gone.rowcount


async def take(
    connection: AsyncConnection,
    now: datetime,
    leased_until: datetime,
    *,
    trunk_ids: Sequence[str],
) -> QueueItem | None:
    """Take the item that has waited longest of those due by some trunks, for nobody else to have.

    One whose dispatcher has died is due again, by whichever trunk; it was perhaps dispatched, so
    its call is asked for by the same key.
    """
    may_go = or_(queue_items.c.trunk_id.in_(trunk_ids), _IS_LEFT)
    is_due = and_(_OPEN, queue_items.c.due_at <= now, may_go)
    first = (
        select(queue_items.c.queue_id)
        .where(is_due)
        .order_by(queue_items.c.queued_at, queue_items.c.queue_id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    # The condition is repeated outside: two dispatchers may pick the same row inside.
    taken = (
        update(queue_items)
        .where(queue_items.c.queue_id == first, is_due)
        .values(state=QueueState.DISPATCHING, due_at=leased_until)
        .returning(*_COLUMNS)
    )
    values = (await connection.execute(taken)).one_or_none()
    return None if values is None else _item(values)


async def settle(
    connection: AsyncConnection,
    item: QueueItem,
    state: QueueState,
    *,
    due_at: datetime | None = None,
    **changes: Any,
) -> bool:
    """Note what became of an item that was taken; False if somebody has taken it since.

    Args:
        connection: the transaction.
        item: as it was taken.
        state: where it stands now.
        due_at: when it is to be looked at next, if it waits on.
        **changes: other columns.
    """
    as_taken = and_(
        queue_items.c.tenant_id == item.tenant_id,
        queue_items.c.queue_id == item.queue_id,
        queue_items.c.state == QueueState.DISPATCHING,
        queue_items.c.due_at == item.due_at,
    )
    settled = update(queue_items).where(as_taken)
    settled = settled.values(state=state, due_at=due_at or item.due_at, **changes)
    return (await connection.execute(settled)).rowcount == 1


async def _one(connection: AsyncConnection, *wanted: ColumnElement[bool]) -> QueueItem | None:
    values = (await connection.execute(select(*_COLUMNS).where(*wanted))).one_or_none()
    return None if values is None else _item(values)
