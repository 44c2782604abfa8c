"""What diallers tell of calls after them: one record per stream, the newest, in their own words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.tables import calls, cdrs


@dataclass(frozen=True, slots=True)
class CdrRow:
    """A dialler's record of a call."""

    stream_id: str
    call_id: str | None
    body: dict[str, Any]
    received_at: datetime


_COLUMNS = [cdrs.c[name] for name in CdrRow.__slots__]


async def save(
    connection: AsyncConnection,
    tenant_id: str,
    stream_id: str,
    body: dict[str, Any],
    at: datetime,
    *,
    call_id: str | None = None,
) -> bool:
    """Keep a record in place of an older one; return whether its call is known.

    The newest call of that name has it, where none is named. One that nobody knows yet is kept for
    when it is.
    """
    newest = (
        select(calls.c.call_id)
        .where(calls.c.tenant_id == tenant_id, calls.c.stream_id == stream_id)
        .order_by(calls.c.planned_at.desc())
        .limit(1)
    )
    call_id = call_id or await connection.scalar(newest)
    values = {"call_id": call_id, "body": body, "received_at": at}
    mine = and_(cdrs.c.tenant_id == tenant_id, cdrs.c.stream_id == stream_id)
    changed = await connection.execute(update(cdrs).where(mine).values(**values))
    if changed.rowcount == 0:
        key = {"tenant_id": tenant_id, "stream_id": stream_id}
        await connection.execute(insert(cdrs).values(**key, **values))
    return call_id is not None


async def is_told(connection: AsyncConnection, tenant_id: str, call_id: str) -> bool:
    """Return whether the carrier has told of a call that it knows by name."""
    mine = and_(cdrs.c.tenant_id == tenant_id, cdrs.c.call_id == call_id)
    return await connection.scalar(select(cdrs.c.call_id).where(mine).limit(1)) is not None


async def of_stream(
    connection: AsyncConnection, tenant_id: str, stream_id: str, call_id: str | None
) -> CdrRow | None:
    """Return what was told of a call, also where that came before the call was known."""
    mine = and_(
        cdrs.c.tenant_id == tenant_id,
        cdrs.c.stream_id == stream_id,
        or_(cdrs.c.call_id.is_(None), cdrs.c.call_id == call_id),
    )
    row = (await connection.execute(select(*_COLUMNS).where(mine))).one_or_none()
    return None if row is None else CdrRow(*row)
