"""The tokens a trunk has left to dial with, held while one is taken."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.telephony import trunks


async def hold(
    connection: AsyncConnection, tenant_id: str, trunk_id: str
) -> tuple[float, datetime | None] | None:
    """Return a trunk's tokens, and as of when; nobody else takes one before this commits.

    None where there is no such trunk.
    """
    mine = and_(trunks.c.tenant_id == tenant_id, trunks.c.trunk_id == trunk_id)
    held = select(trunks.c.tokens, trunks.c.tokens_at).where(mine).with_for_update()
    row = (await connection.execute(held)).one_or_none()
    return None if row is None else (row.tokens, row.tokens_at)


async def keep(
    connection: AsyncConnection, tenant_id: str, trunk_id: str, tokens: float, at: datetime | None
) -> None:
    """Store how many are left, and as of when."""
    mine = and_(trunks.c.tenant_id == tenant_id, trunks.c.trunk_id == trunk_id)
    await connection.execute(update(trunks).where(mine).values(tokens=tokens, tokens_at=at))
