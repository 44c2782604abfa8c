"""Which numbers a bot is called at: those it shows when it calls."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.telephony import numbers


async def of_bot(
    connection: AsyncConnection, tenant_id: str, bot_id: str
) -> Sequence[tuple[str, str]]:
    """Return `(number, trunk_id)` of every number of a bot that comes by a trunk, oldest first."""
    its = (numbers.c.tenant_id == tenant_id, numbers.c.bot_id == bot_id)
    query = select(numbers.c.number, numbers.c.trunk_id).where(
        *its, numbers.c.trunk_id.is_not(None)
    )
    rows = await connection.execute(query.order_by(numbers.c.created_at, numbers.c.number))
    return [(row.number, row.trunk_id) for row in rows]
