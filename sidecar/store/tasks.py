"""What is to be done after calls: claimed by a conditional update, fenced by the attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.tables import PENDING, tasks


class TaskState(StrEnum):
    """`PENDING` also while a worker has it; `FAILED` is one that nobody could do."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One question about one call. `due_at` is when the next worker may have it."""

    task_id: str
    tenant_id: str
    call_id: str
    bot_id: str
    kind: str
    created_at: datetime
    due_at: datetime
    state: str = TaskState.PENDING
    attempt: int = 0
    worker_id: str | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    settled_at: datetime | None = None


_COLUMNS = [tasks.c[name] for name in TaskRow.__slots__]


def _row(values: Any) -> TaskRow:
    return TaskRow(**dict(zip(TaskRow.__slots__, values, strict=True)))


async def add(connection: AsyncConnection, row: TaskRow) -> None:
    """Store a task, in the transaction of the end that gave rise to it."""
    values = {name: getattr(row, name) for name in TaskRow.__slots__}
    await connection.execute(insert(tasks).values(values))


async def claim(
    connection: AsyncConnection,
    tenant_id: str,
    worker_id: str,
    now: datetime,
    leased_until: datetime,
) -> TaskRow | None:
    """Take the task that is due longest, for nobody else to get, and count the attempt."""
    ready = and_(
        tasks.c.tenant_id == tenant_id, tasks.c.state == TaskState.PENDING, tasks.c.due_at <= now
    )
    first = (
        select(tasks.c.task_id)
        .where(ready)
        .order_by(tasks.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    # The condition is repeated outside: two claimants may pick the same row inside.
    taken = (
        update(tasks)
        .where(tasks.c.task_id == first, ready)
        .values(attempt=tasks.c.attempt + 1, worker_id=worker_id, due_at=leased_until)
        .returning(*_COLUMNS)
    )
    values = (await connection.execute(taken)).one_or_none()
    return None if values is None else _row(values)


async def settle(connection: AsyncConnection, row: TaskRow) -> bool:
    """Record what the row's attempt came to: its state, due time, result and error.

    False, and no effect, if somebody has claimed it since, or it was settled before.
    """
    mine = and_(
        tasks.c.tenant_id == row.tenant_id,
        tasks.c.task_id == row.task_id,
        tasks.c.attempt == row.attempt,
        tasks.c.state == TaskState.PENDING,
    )
    settled = update(tasks).where(mine)
    settled = settled.values(
        state=row.state,
        due_at=row.due_at,
        result=row.result,
        error=row.error,
        settled_at=row.settled_at,
    )
    return (await connection.execute(settled)).rowcount == 1


async def give_up(
    connection: AsyncConnection, tenant_id: str, call_id: str, at: datetime, error: str
) -> None:
    """Fail what is still open of a call's tasks, whoever has claimed them."""
    open_ = and_(
        tasks.c.tenant_id == tenant_id,
        tasks.c.call_id == call_id,
        tasks.c.state == TaskState.PENDING,
    )
    failed = update(tasks).where(open_)
    await connection.execute(failed.values(state=TaskState.FAILED, settled_at=at, error=error))


async def get(connection: AsyncConnection, tenant_id: str, task_id: str) -> TaskRow | None:
    mine = and_(tasks.c.tenant_id == tenant_id, tasks.c.task_id == task_id)
    values = (await connection.execute(select(*_COLUMNS).where(mine))).one_or_none()
    return None if values is None else _row(values)


async def of_call(connection: AsyncConnection, tenant_id: str, call_id: str) -> list[TaskRow]:
    """Return a call's tasks, in the order of their kinds."""
    mine = and_(tasks.c.tenant_id == tenant_id, tasks.c.call_id == call_id)
    statement = select(*_COLUMNS).where(mine).order_by(tasks.c.kind)
    return [_row(values) for values in await connection.execute(statement)]


async def is_any_due(connection: AsyncConnection, tenant_id: str, now: datetime) -> bool:
    """Return whether a worker that asks now would be given a task."""
    waiting = and_(PENDING, tasks.c.tenant_id == tenant_id, tasks.c.due_at <= now)
    found = await connection.scalar(select(tasks.c.task_id).where(waiting).limit(1))
    return found is not None
