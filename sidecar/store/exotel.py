"""Finds calls by what Exotel calls them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.ids import Channel
from sidecar.store.calls import CallRow, get
from sidecar.store.tables import calls, cdrs


async def call_of(
    connection: AsyncConnection,
    tenant_id: str,
    bot_id: str | None,
    *,
    call_sid: str,
    stream_sid: str,
    since: datetime,
) -> CallRow | None:
    """Return the newest call of a stream; where there is none, of a telephone call.

    Args:
        connection: a transaction.
        tenant_id: whose call it is.
        bot_id: who talked: one telephone call may come to several bots. None for any of them.
        call_sid: Exotel's name of the telephone call; "" for none.
        stream_sid: its name of the stream; "" for none.
        since: no call from before this is meant: names of telephone calls have no index.
    """
    mine = and_(
        calls.c.tenant_id == tenant_id,
        calls.c.channel == Channel.EXOTEL,
        calls.c.planned_at >= since,
        true() if bot_id is None else calls.c.bot_id == bot_id,
    )
    by_stream = calls.c.stream_id == stream_sid
    by_call = calls.c.connected_event["call_sid"].as_string() == call_sid
    for sid, is_it in ((stream_sid, by_stream), (call_sid, by_call)):
        newest = select(calls.c.call_id).where(mine, is_it).order_by(calls.c.planned_at.desc())
        if sid and (call_id := await connection.scalar(newest.limit(1))):
            return await get(connection, tenant_id, call_id)
    return None


async def may_tell(
    connection: AsyncConnection, tenant_id: str, bot_id: str, stream_id: str
) -> bool:
    """Return whether a bot's flow may tell of a stream: not of another's, nor of a dialler's."""
    newest = (
        select(calls.c.channel, calls.c.bot_id)
        .where(calls.c.tenant_id == tenant_id, calls.c.stream_id == stream_id)
        .order_by(calls.c.planned_at.desc())
        .limit(1)
    )
    if (call := (await connection.execute(newest)).one_or_none()) is not None:
        return (call.channel, call.bot_id) == (Channel.EXOTEL, bot_id)
    told = select(cdrs.c.body).where(cdrs.c.tenant_id == tenant_id, cdrs.c.stream_id == stream_id)
    body = await connection.scalar(told)
    return body is None or body.get("bot_id") == bot_id
