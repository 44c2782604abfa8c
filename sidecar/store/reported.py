"""Results of calls that other runtimes held: one row per session, which later reports add to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.tables import reported_results


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRow:
    """A call as another runtime told of it.

    Attributes:
        status: `completed`, `failed` or `voicemail`.
        recording_token: what a link to its recording carries.
    """

    session_id: str
    body: dict[str, Any]
    status: str
    recording_token: str
    created_at: datetime
    completed_at: datetime


_NAMES = tuple(ReportedRow.__slots__)
_COLUMNS = [reported_results.c[name] for name in _NAMES]


async def get(
    connection: AsyncConnection, tenant_id: str, session_id: str, *, for_update: bool = False
) -> ReportedRow | None:
    """Return a session's row; `for_update` keeps others from changing it until the commit."""
    statement = select(*_COLUMNS).where(_mine(tenant_id, session_id))
    if for_update:
        statement = statement.with_for_update()
    values = (await connection.execute(statement)).one_or_none()
    return None if values is None else ReportedRow(**dict(zip(_NAMES, values, strict=True)))


async def add(connection: AsyncConnection, tenant_id: str, row: ReportedRow) -> None:
    """Store a session's first report. The primary key lets no second one be the first."""
    values = {name: getattr(row, name) for name in _NAMES}
    await connection.execute(insert(reported_results).values(tenant_id=tenant_id, **values))


async def change(connection: AsyncConnection, tenant_id: str, row: ReportedRow) -> None:
    """Store what a session's row has become."""
    values = {name: getattr(row, name) for name in _NAMES}
    mine = _mine(tenant_id, row.session_id)
    await connection.execute(update(reported_results).where(mine).values(**values))


def _mine(tenant_id: str, session_id: str) -> Any:
    return and_(
        reported_results.c.tenant_id == tenant_id, reported_results.c.session_id == session_id
    )
