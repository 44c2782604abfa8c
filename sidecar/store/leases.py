"""Leases: work that one sidecar at a time may do, and goes on with if it says so again in time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.telephony import leases


async def take(
    connection: AsyncConnection, name: str, holder: str, now: datetime, until: datetime
) -> bool:
    """Take or prolong a lease; False while somebody else has it.

    The first of all holders to ask must expect a conflict: run it where that is tried again.
    """
    mine = or_(leases.c.holder == holder, leases.c.until_at <= now)
    taken = update(leases).where(leases.c.name == name, mine)
    if (await connection.execute(taken.values(holder=holder, until_at=until))).rowcount:
        return True
    if await connection.scalar(select(leases.c.holder).where(leases.c.name == name)) is not None:
        return False
    await connection.execute(insert(leases).values(name=name, holder=holder, until_at=until))
    return True


async def release(connection: AsyncConnection, name: str, holder: str, now: datetime) -> None:
    """Let the next one have it."""
    mine = (leases.c.name == name, leases.c.holder == holder)
    await connection.execute(update(leases).where(*mine).values(until_at=now))


async def was_taken(connection: AsyncConnection, name: str) -> bool:
    """Return whether anybody has had it since it was last put away."""
    return await connection.scalar(select(leases.c.name).where(leases.c.name == name)) is not None


async def put_away(connection: AsyncConnection, name: str, holder: str) -> None:
    """Give it back with its work all done, as if nobody had ever had it."""
    mine = (leases.c.name == name, leases.c.holder == holder)
    await connection.execute(delete(leases).where(*mine))
