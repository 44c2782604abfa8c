"""The keys that tenants keep with vendors, for bots of theirs that bring none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.tables import vendor_keys


@dataclass(frozen=True, slots=True)
class VendorKeyRow:
    """One key as stored: a `secret://…` reference, or the key itself."""

    tenant_id: str
    provider: str
    api_key: str
    created_at: datetime
    updated_at: datetime


async def listed(connection: AsyncConnection, tenant_id: str) -> list[VendorKeyRow]:
    """Return a tenant's keys, by their vendors' names."""
    mine = select(vendor_keys).where(vendor_keys.c.tenant_id == tenant_id)
    rows = await connection.execute(mine.order_by(vendor_keys.c.provider))
    return [VendorKeyRow(**row._mapping) for row in rows]


async def get(connection: AsyncConnection, tenant_id: str, provider: str) -> VendorKeyRow | None:
    """Return a tenant's key for a vendor."""
    keys = await listed(connection, tenant_id)
    return next((key for key in keys if key.provider == provider), None)


async def save(
    connection: AsyncConnection, tenant_id: str, provider: str, api_key: str, at: datetime
) -> None:
    """Store a tenant's key for a vendor, over the one it had."""
    mine = (vendor_keys.c.tenant_id == tenant_id, vendor_keys.c.provider == provider)
    changed = update(vendor_keys).where(*mine).values(api_key=api_key, updated_at=at)
    if not (await connection.execute(changed)).rowcount:
        values = {"tenant_id": tenant_id, "provider": provider, "api_key": api_key}
        new = insert(vendor_keys).values(**values, created_at=at, updated_at=at)
        await connection.execute(new)


async def remove(connection: AsyncConnection, tenant_id: str, provider: str) -> bool:
    """Delete a tenant's key for a vendor; return whether there was one."""
    mine = (vendor_keys.c.tenant_id == tenant_id, vendor_keys.c.provider == provider)
    return (await connection.execute(delete(vendor_keys).where(*mine))).rowcount > 0
