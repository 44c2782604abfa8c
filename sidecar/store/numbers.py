"""Numbers: which bot answers which; no two tenants have the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.telephony import numbers


@dataclass(frozen=True, slots=True)
class NumberRow:
    """One number, in its normal form. Without a bot it is kept, but not answered."""

    number: str
    tenant_id: str
    bot_id: str | None
    trunk_id: str | None
    created_at: datetime
    updated_at: datetime


_COLUMNS = [numbers.c[name] for name in NumberRow.__slots__]


async def add(connection: AsyncConnection, row: NumberRow) -> None:
    values = {name: getattr(row, name) for name in NumberRow.__slots__}
    await connection.execute(insert(numbers).values(values))


async def save(connection: AsyncConnection, row: NumberRow) -> None:
    """Store a number's new assignment over the old one."""
    changed = {"bot_id": row.bot_id, "trunk_id": row.trunk_id, "updated_at": row.updated_at}
    mine = _mine(row.tenant_id, row.number)
    await connection.execute(update(numbers).where(*mine).values(changed))


async def get(connection: AsyncConnection, tenant_id: str, number: str) -> NumberRow | None:
    return await first(connection, tenant_id, [number])


async def first(
    connection: AsyncConnection, tenant_id: str | None, keys: Sequence[str]
) -> NumberRow | None:
    """Return the number that is kept under the earliest of these forms; None: of any tenant."""
    if not keys:
        return None
    rank = case({key: place for place, key in enumerate(keys)}, value=numbers.c.number)
    wanted: list[ColumnElement[bool]] = [numbers.c.number.in_(keys)]
    if tenant_id is not None:
        wanted.append(numbers.c.tenant_id == tenant_id)
    statement = select(*_COLUMNS).where(*wanted).order_by(rank).limit(1)
    found = (await connection.execute(statement)).one_or_none()
    return None if found is None else NumberRow(*found)


async def listed(
    connection: AsyncConnection, tenant_id: str, bot_ids: Sequence[str] | None = None
) -> list[NumberRow]:
    """Return a tenant's numbers, those of some bots only where they are named."""
    wanted: list[ColumnElement[bool]] = [numbers.c.tenant_id == tenant_id]
    if bot_ids is not None:
        wanted.append(numbers.c.bot_id.in_(bot_ids))
    statement = select(*_COLUMNS).where(*wanted).order_by(numbers.c.number)
    return [NumberRow(*found) for found in await connection.execute(statement)]


async def of_trunk(connection: AsyncConnection, tenant_id: str, trunk_id: str) -> list[NumberRow]:
    """Return the numbers whose calls come by a trunk."""
    mine = (numbers.c.tenant_id == tenant_id, numbers.c.trunk_id == trunk_id)
    statement = select(*_COLUMNS).where(*mine).order_by(numbers.c.number)
    return [NumberRow(*found) for found in await connection.execute(statement)]


async def remove(connection: AsyncConnection, tenant_id: str, number: str) -> bool:
    gone = await connection.execute(delete(numbers).where(*_mine(tenant_id, number)))
    return gone.rowcount > 0


def _mine(tenant_id: str, number: str) -> tuple[ColumnElement[bool], ...]:
    return numbers.c.tenant_id == tenant_id, numbers.c.number == number
