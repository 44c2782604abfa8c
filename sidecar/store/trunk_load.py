"""How busy a trunk is: the calls that live on it, and the tokens it has left to dial with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.tables import calls
from sidecar.store.telephony import trunks


async def live_calls(connection: AsyncConnection, tenant_id: str, trunk_id: str) -> int:
    """Return how many calls live on a trunk, those that came in by it included."""
    mine = and_(calls.c.tenant_id == tenant_id, calls.c.trunk_id == trunk_id)
    live = text("state <> 'ended'")  # the index's own words
    return await connection.scalar(select(func.count()).select_from(calls).where(live, mine)) or 0


async def hold_tokens(
    connection: AsyncConnection, tenant_id: str, trunk_id: str
) -> tuple[float, datetime | None] | None:
    """Return a trunk's tokens, and as of when; nobody else takes one before this commits.

    None where there is no such trunk.
    """
    mine = and_(trunks.c.tenant_id == tenant_id, trunks.c.trunk_id == trunk_id)
    held = select(trunks.c.tokens, trunks.c.tokens_at).where(mine).with_for_update()
    row = (await connection.execute(held)).one_or_none()
    return None if row is None else (row.tokens, row.tokens_at)


async def keep_tokens(
    connection: AsyncConnection, tenant_id: str, trunk_id: str, tokens: float, at: datetime | None
) -> None:
    mine = and_(trunks.c.tenant_id == tenant_id, trunks.c.trunk_id == trunk_id)
    await connection.execute(update(trunks).where(mine).values(tokens=tokens, tokens_at=at))
