"""Signs of life: one row per agent worker and bridge, refreshed by its heartbeat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.report import Heartbeat
from sidecar.store.tables import workers


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """What a worker last said about itself."""

    worker_id: str
    kind: str
    pid: int
    ready: bool
    calls: list[str]
    standbys: list[str]
    max_calls: int
    last_seen_at: datetime
    spooled: int = 0
    host: str = ""
    door: str = "stream"


_COLUMNS = [workers.c[name] for name in WorkerRow.__slots__]


async def seen(
    connection: AsyncConnection, tenant_id: str, heartbeat: Heartbeat, at: datetime
) -> None:
    """Store a heartbeat as the worker's row."""
    values: dict[str, Any] = {
        "kind": heartbeat.kind,
        "host": heartbeat.host,
        "pid": heartbeat.pid,
        "ready": heartbeat.ready,
        "calls": heartbeat.calls,
        "standbys": heartbeat.standbys,
        "max_calls": heartbeat.max_calls,
        "door": heartbeat.door,
        "metrics": heartbeat.metrics,
        "spooled": heartbeat.spooled,
        "started_at": heartbeat.started_at,
        "last_seen_at": at,
    }
    mine = (workers.c.tenant_id == tenant_id, workers.c.worker_id == heartbeat.id)
    updated = await connection.execute(update(workers).where(*mine).values(**values))
    if updated.rowcount == 0:
        new = insert(workers).values(tenant_id=tenant_id, worker_id=heartbeat.id, **values)
        await connection.execute(new)


async def listed(connection: AsyncConnection, tenant_id: str, since: datetime) -> list[WorkerRow]:
    """Return the workers heard of since then."""
    statement = (
        select(*_COLUMNS)
        .where(workers.c.tenant_id == tenant_id, workers.c.last_seen_at >= since)
        .order_by(workers.c.worker_id)
    )
    return [WorkerRow(*row) for row in await connection.execute(statement)]


async def everybody(connection: AsyncConnection) -> list[WorkerRow]:
    """Return the workers of every tenant that are remembered."""
    return [WorkerRow(*row) for row in await connection.execute(select(*_COLUMNS))]


async def forget(connection: AsyncConnection, before: datetime) -> None:
    """Drop workers not heard of for long, of every tenant."""
    await connection.execute(delete(workers).where(workers.c.last_seen_at < before))
