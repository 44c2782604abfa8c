"""Trunks: ways to carriers, what LiveKit SIP calls those it serves, and how fast each may dial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.trunk import Trunk
from sidecar.store.tables import calls
from sidecar.store.telephony import trunks

_NAMES = (trunks.c.trunk_id, trunks.c.inbound_id, trunks.c.outbound_id)
_LIVE = text("state <> 'ended'")
"""The index's own words: SQLite goes by a partial index only where a query repeats them."""
_PACE = frozenset({trunks.c.tokens.name, trunks.c.tokens_at.name})


@dataclass(frozen=True, slots=True)
class TrunkRow:
    """One trunk as stored. `trunk.password` is a `secret://…` reference or the password itself."""

    trunk_id: str
    tenant_id: str
    trunk: Trunk
    created_at: datetime
    updated_at: datetime
    inbound_id: str | None = None
    outbound_id: str | None = None
    rule_id: str | None = None
    synced_sha256: str = ""
    sync_error: str | None = None
    tokens: float = 0.0
    tokens_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """How many calls a trunk carries, both ways, and how many it may."""

    trunk_id: str
    live_calls: int
    channels: int


async def add(connection: AsyncConnection, row: TrunkRow) -> None:
    await connection.execute(insert(trunks).values(_values(row)))


async def save(connection: AsyncConnection, row: TrunkRow) -> None:
    """Store a trunk's new state over the old one, but its tokens: dials take some meanwhile."""
    mine = (trunks.c.tenant_id == row.tenant_id, trunks.c.trunk_id == row.trunk_id)
    kept = {name: value for name, value in _values(row).items() if name not in _PACE}
    await connection.execute(update(trunks).where(*mine).values(kept))


async def get(connection: AsyncConnection, tenant_id: str, trunk_id: str) -> TrunkRow | None:
    found = await _where(connection, trunks.c.tenant_id == tenant_id, trunks.c.trunk_id == trunk_id)
    return found[0] if found else None


async def known_as(connection: AsyncConnection, tenant_id: str, name: str) -> TrunkRow | None:
    """Return the trunk of a name, which may be LiveKit's for its inbound or outbound side."""
    names = or_(*(column == name for column in _NAMES))
    found = await _where(connection, trunks.c.tenant_id == tenant_id, names)
    return found[0] if found else None


async def listed(
    connection: AsyncConnection, tenant_id: str, *, kind: str | None = None
) -> Sequence[TrunkRow]:
    """Return a tenant's trunks, the oldest first."""
    of_kind = () if kind is None else (trunks.c.kind == kind,)
    return await _where(connection, trunks.c.tenant_id == tenant_id, *of_kind)


async def of_kind(connection: AsyncConnection, kind: str) -> Sequence[TrunkRow]:
    """Return every tenant's trunks of one kind, the oldest first."""
    return await _where(connection, trunks.c.kind == kind)


async def loads(connection: AsyncConnection, limit: int) -> Sequence[Load]:
    """Return what the oldest trunks of all tenants carry."""
    carried = select(calls.c.trunk_id, func.count()).where(_LIVE).group_by(calls.c.trunk_id)
    live = {row[0]: row[1] for row in await connection.execute(carried)}
    oldest = select(trunks.c.trunk_id, trunks.c.config)
    oldest = oldest.order_by(trunks.c.created_at, trunks.c.trunk_id).limit(limit)
    return [
        Load(row.trunk_id, live.get(row.trunk_id, 0), row.config["channels"])
        for row in await connection.execute(oldest)
    ]


async def remove(connection: AsyncConnection, tenant_id: str, trunk_id: str) -> bool:
    mine = (trunks.c.tenant_id == tenant_id, trunks.c.trunk_id == trunk_id)
    return (await connection.execute(delete(trunks).where(*mine))).rowcount > 0


async def _where(connection: AsyncConnection, *clauses: ColumnElement[bool]) -> list[TrunkRow]:
    query = select(trunks).where(*clauses).order_by(trunks.c.created_at, trunks.c.trunk_id)
    return [_row(found) for found in await connection.execute(query)]


def _values(row: TrunkRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in TrunkRow.__dataclass_fields__}
    trunk: Trunk = values.pop("trunk")
    return {**values, "kind": trunk.kind, "config": trunk.model_dump(mode="json")}


def _row(found: Row[Any]) -> TrunkRow:
    values = dict(found._mapping)
    config = values.pop("config")
    del values["kind"]
    trunk = Trunk.model_validate({**config, "trunk_id": values["trunk_id"]})
    return TrunkRow(trunk=trunk, **values)
