"""A bot's newest turns, as they were measured."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.report import TurnMeasured
from sidecar.store.tables import IS_TURN, call_events

MAX_TURNS = 1000


async def newest(
    connection: AsyncConnection,
    tenant_id: str,
    bot_id: str,
    *,
    since: datetime | None = None,
    limit: int = MAX_TURNS,
) -> list[TurnMeasured]:
    """Return the turns of a bot that were measured last, of those the ones `since` then."""
    mine = (call_events.c.tenant_id == tenant_id, call_events.c.bot_id == bot_id)
    statement = (
        select(call_events.c.data)
        .where(*mine, IS_TURN)
        .order_by(call_events.c.sequence.desc())
        .limit(limit)
    )
    found = [TurnMeasured.model_validate(data) for data in await connection.scalars(statement)]
    return [turn for turn in found if since is None or turn.at >= since]
