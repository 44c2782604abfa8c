"""API keys: only their hash is kept, so a stolen database opens nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.tables import api_keys


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key. Empty `bot_ids` means every bot of the tenant."""

    key_id: str
    tenant_id: str
    name: str
    key_prefix: str
    key_sha256: str
    bot_ids: list[str]
    is_admin: bool
    is_active: bool
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


_COLUMNS = [api_keys.c[name] for name in KeyRow.__slots__]


async def add(connection: AsyncConnection, row: KeyRow) -> None:
    values = {name: getattr(row, name) for name in KeyRow.__slots__}
    await connection.execute(insert(api_keys).values(values))


async def by_hash(connection: AsyncConnection, key_sha256: str) -> KeyRow | None:
    """Return the key with this hash; the key itself says whose it is."""
    found = await _select(connection, api_keys.c.key_sha256 == key_sha256)
    return found[0] if found else None


async def get(connection: AsyncConnection, tenant_id: str, key_id: str) -> KeyRow | None:
    mine = api_keys.c.tenant_id == tenant_id
    found = await _select(connection, mine, api_keys.c.key_id == key_id)
    return found[0] if found else None


async def listed(connection: AsyncConnection, tenant_id: str) -> list[KeyRow]:
    return await _select(connection, api_keys.c.tenant_id == tenant_id)


async def change(
    connection: AsyncConnection, tenant_id: str, key_id: str, changes: Mapping[str, Any]
) -> bool:
    """Change some columns of a key. False if there is no such key."""
    mine = and_(api_keys.c.tenant_id == tenant_id, api_keys.c.key_id == key_id)
    changed = await connection.execute(update(api_keys).where(mine).values(**changes))
    return changed.rowcount == 1


async def remove(connection: AsyncConnection, tenant_id: str, key_id: str) -> bool:
    """Delete a key. False if there is no such key."""
    mine = and_(api_keys.c.tenant_id == tenant_id, api_keys.c.key_id == key_id)
    return (await connection.execute(delete(api_keys).where(mine))).rowcount == 1


async def _select(connection: AsyncConnection, *wanted: ColumnElement[bool]) -> list[KeyRow]:
    statement = select(*_COLUMNS).where(*wanted).order_by(api_keys.c.created_at)
    return [KeyRow(*row) for row in await connection.execute(statement)]
