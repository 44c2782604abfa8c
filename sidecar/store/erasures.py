"""Takes calls out of every table that knows of them, and remembers only that they are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    Text,
    and_,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    text,
)
from sqlalchemy import update as sql_update
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.call import CallState
from sidecar import number
from sidecar.store import events
from sidecar.store.deliveries import DeliveryState
from sidecar.store.queue import QueueState
from sidecar.store.tables import (
    call_events,
    calls,
    cdrs,
    deliveries,
    delivery_attempts,
    erased_calls,
    recordings,
    reported_results,
    results,
    standbys,
    tasks,
    tenants,
)
from sidecar.store.telephony import dials, queue_items

_OF_A_CALL: tuple[Table, ...] = (
    call_events,
    results,
    deliveries,
    tasks,
    recordings,
    dials,
    queue_items,
)
_IS_OVER = queue_items.c.state.in_((QueueState.DISPATCHED, QueueState.FAILED))
"""Calls that are still queued are live: they are dialled, or time out, first."""
_ENDED = calls.c.state == CallState.ENDED
_ORPHAN = (erased_calls.c.call_id, erased_calls.c.recording_key, erased_calls.c.place)
_IS_ORPHAN = text("recording_key is not null")
"""The index's own words: SQLite goes by a partial index only where a query repeats them."""


@dataclass(frozen=True, slots=True)
class Found:
    """What names a number.

    Attributes:
        calls: calls that have ended, by themselves or by what others told of them.
        live: calls that have not.
        cdrs: stream ids of what diallers told of calls.
        reported: session ids of results that other runtimes posted.
        queued: queued calls that are over.
    """

    calls: list[str]
    live: list[str]
    cdrs: list[str]
    reported: list[str]
    queued: list[str]


@dataclass(frozen=True, slots=True)
class OrphanRecording:
    """A recording whose call is erased: its file or object is to go as well."""

    call_id: str
    recording_key: str
    place: str


async def erase(
    connection: AsyncConnection, tenant_id: str, call_ids: Sequence[str], at: datetime
) -> list[str]:
    """Delete those of the calls that have ended, with all that was kept of them; return which.

    Whoever adds to an ended call holds the order of events and looks the call up again, so nothing
    of it can come back.
    """
    mine = and_(calls.c.tenant_id == tenant_id, calls.c.call_id.in_(call_ids))
    named = select(calls.c.call_id, calls.c.session_id, calls.c.stream_id).where(mine, _ENDED)
    # The rows come first, then the order: as wherever both are held.
    rows = (await connection.execute(named.order_by(calls.c.call_id).with_for_update())).all()
    if not rows:
        return []
    await events.hold_order(connection)
    gone = [row.call_id for row in rows]
    await _bury(connection, tenant_id, gone, at)
    sent = select(deliveries.c.delivery_id).where(deliveries.c.call_id.in_(gone))
    attempts = delete(delivery_attempts).where(delivery_attempts.c.delivery_id.in_(sent))
    await connection.execute(attempts)
    for table in _OF_A_CALL:
        await connection.execute(delete(table).where(table.c.call_id.in_(gone)))
    streams = [row.stream_id for row in rows if row.stream_id]
    told = or_(cdrs.c.call_id.in_(gone), cdrs.c.call_id.is_(None) & cdrs.c.stream_id.in_(streams))
    await connection.execute(delete(cdrs).where(cdrs.c.tenant_id == tenant_id, told))
    await forget_reported(connection, tenant_id, [row.session_id for row in rows])
    unnamed = sql_update(standbys).where(standbys.c.call_id.in_(gone))
    await connection.execute(unnamed.values(call_id=None))
    await connection.execute(delete(calls).where(calls.c.call_id.in_(gone)))
    return gone


async def is_erased(connection: AsyncConnection, tenant_id: str, call_id: str) -> bool:
    """Return whether there was such a call."""
    mine = and_(erased_calls.c.tenant_id == tenant_id, erased_calls.c.call_id == call_id)
    return await connection.scalar(select(erased_calls.c.call_id).where(mine)) is not None


async def erased_among(
    connection: AsyncConnection, tenant_id: str, call_ids: Sequence[str]
) -> list[str]:
    """Return which of some calls were erased."""
    mine = and_(erased_calls.c.tenant_id == tenant_id, erased_calls.c.call_id.in_(call_ids))
    return list(await connection.scalars(select(erased_calls.c.call_id).where(mine)))


async def of_number(connection: AsyncConnection, tenant_id: str, digits: str) -> Found:
    """Return what names a number (normalised), whichever way it is spelt there."""
    kept = select(
        calls.c.call_id, calls.c.state, calls.c.caller_id, calls.c.did, calls.c.connected_event
    )
    near = or_(
        *(_near(column, digits) for column in (calls.c.caller_id, calls.c.did)),
        _near(cast(calls.c.connected_event, Text), digits),
    )
    rows = await connection.execute(kept.where(calls.c.tenant_id == tenant_id, near))
    states = {
        row.call_id: row.state
        for row in rows
        if number.is_named_in([row.caller_id, row.did, row.connected_event], digits)
    }
    streams = await _naming(connection, cdrs, cdrs.c.stream_id, tenant_id, digits)
    session_id = reported_results.c.session_id
    sessions = await _naming(connection, reported_results, session_id, tenant_id, digits)
    told = select(cdrs.c.call_id).where(
        cdrs.c.tenant_id == tenant_id, cdrs.c.stream_id.in_(streams)
    )
    theirs = or_(calls.c.call_id.in_(told), calls.c.session_id.in_(sessions))
    named = select(calls.c.call_id, calls.c.state).where(calls.c.tenant_id == tenant_id, theirs)
    states |= {row.call_id: row.state for row in await connection.execute(named)}
    return Found(
        calls=[call_id for call_id, state in states.items() if state == CallState.ENDED],
        live=[call_id for call_id, state in states.items() if state != CallState.ENDED],
        cdrs=streams,
        reported=sessions,
        queued=await _queued(connection, tenant_id, digits),
    )


async def forget_cdrs(
    connection: AsyncConnection, tenant_id: str, stream_ids: Sequence[str]
) -> int:
    """Delete what diallers told of calls, by stream; return how many there were."""
    mine = and_(cdrs.c.tenant_id == tenant_id, cdrs.c.stream_id.in_(stream_ids))
    return (await connection.execute(delete(cdrs).where(mine))).rowcount


async def forget_reported(
    connection: AsyncConnection, tenant_id: str, session_ids: Sequence[str]
) -> int:
    """Delete results that other runtimes posted, by session; return how many there were."""
    mine = and_(
        reported_results.c.tenant_id == tenant_id, reported_results.c.session_id.in_(session_ids)
    )
    return (await connection.execute(delete(reported_results).where(mine))).rowcount


async def forget_queued(
    connection: AsyncConnection, tenant_id: str, queue_ids: Sequence[str]
) -> int:
    """Delete queued calls that are over; return how many there were."""
    mine = and_(queue_items.c.tenant_id == tenant_id, queue_items.c.queue_id.in_(queue_ids))
    return (await connection.execute(delete(queue_items).where(mine, _IS_OVER))).rowcount


async def retentions(connection: AsyncConnection) -> dict[str, int | None]:
    """Return how many days each tenant's calls are kept, where it says so itself."""
    statement = select(tenants.c.tenant_id, tenants.c.retention_days)
    rows = await connection.execute(statement)
    return {row.tenant_id: row.retention_days for row in rows}


async def expired(
    connection: AsyncConnection,
    tenant_id: str,
    before: datetime,
    *,
    promised_since: datetime,
    limit: int,
) -> list[str]:
    """Return ended calls that began before a time, the oldest first.

    Left out are those that somebody may yet be told of: their result is still to come, or on its
    way since `promised_since`.
    """
    waits = and_(
        deliveries.c.call_id == calls.c.call_id,
        deliveries.c.state == DeliveryState.PENDING,
        deliveries.c.created_at >= promised_since,
    )
    due = calls.c.result_due_at
    statement = (
        select(calls.c.call_id)
        .where(
            calls.c.tenant_id == tenant_id,
            calls.c.planned_at < before,
            _ENDED,
            or_(due.is_(None), due < promised_since),
            ~select(deliveries.c.delivery_id).where(waits).exists(),
        )
        .order_by(calls.c.planned_at)
        .limit(limit)
    )
    return list(await connection.scalars(statement))


async def expired_queued(
    connection: AsyncConnection, tenant_id: str, before: datetime, *, limit: int
) -> list[str]:
    """Return queued calls that were over before a time, and came to no call that is still kept."""
    kept = select(calls.c.call_id).where(calls.c.call_id == queue_items.c.call_id).exists()
    old = select(queue_items.c.queue_id).where(
        queue_items.c.tenant_id == tenant_id, queue_items.c.queued_at < before, _IS_OVER, ~kept
    )
    return list(await connection.scalars(old.limit(limit)))


async def expired_records(
    connection: AsyncConnection, tenant_id: str, before: datetime, *, limit: int
) -> tuple[list[str], list[str]]:
    """Return the streams and sessions of what others told before a time."""
    told = select(cdrs.c.stream_id).where(
        cdrs.c.tenant_id == tenant_id, cdrs.c.received_at < before
    )
    posted = select(reported_results.c.session_id).where(
        reported_results.c.tenant_id == tenant_id, reported_results.c.completed_at < before
    )
    streams = list(await connection.scalars(told.limit(limit)))
    return streams, list(await connection.scalars(posted.limit(limit)))


async def orphan_recordings(
    connection: AsyncConnection, now: datetime, *, limit: int
) -> list[OrphanRecording]:
    """Return recordings that are to go now."""
    due = select(*_ORPHAN).where(_IS_ORPHAN, erased_calls.c.due_at <= now)
    first = due.order_by(erased_calls.c.due_at).limit(limit)
    return [OrphanRecording(*row) for row in await connection.execute(first)]


async def orphan_recordings_of(
    connection: AsyncConnection, call_ids: Sequence[str]
) -> list[OrphanRecording]:
    """Return the recordings of some erased calls that are still there."""
    statement = select(*_ORPHAN).where(_IS_ORPHAN, erased_calls.c.call_id.in_(call_ids))
    return [OrphanRecording(*row) for row in await connection.execute(statement)]


async def recording_is_gone(connection: AsyncConnection, call_id: str) -> None:
    """Forget the recording's key too: it may be named after the caller."""
    nothing = {"recording_key": None, "place": None, "due_at": None}
    await _change(connection, call_id, nothing)


async def recording_is_stuck(connection: AsyncConnection, call_id: str, retry_at: datetime) -> None:
    await _change(connection, call_id, {"due_at": retry_at})


async def forget(connection: AsyncConnection, before: datetime) -> None:
    """Forget even that calls were erased, where that was before a time."""
    old = and_(erased_calls.c.erased_at < before, erased_calls.c.recording_key.is_(None))
    await connection.execute(delete(erased_calls).where(old))


async def _bury(
    connection: AsyncConnection, tenant_id: str, call_ids: Sequence[str], at: datetime
) -> None:
    columns = (recordings.c.call_id, recordings.c.recording_key, recordings.c.place)
    recorded = select(*columns).where(recordings.c.call_id.in_(call_ids))
    kept = {row.call_id: row for row in await connection.execute(recorded)}
    stones: list[dict[str, Any]] = [
        {
            "call_id": call_id,
            "tenant_id": tenant_id,
            "erased_at": at,
            "recording_key": kept[call_id].recording_key if call_id in kept else None,
            "place": kept[call_id].place if call_id in kept else None,
            "due_at": at if call_id in kept else None,
        }
        for call_id in call_ids
    ]
    await connection.execute(insert(erased_calls), stones)


async def _change(connection: AsyncConnection, call_id: str, values: dict[str, Any]) -> None:
    mine = erased_calls.c.call_id == call_id
    await connection.execute(sql_update(erased_calls).where(mine).values(**values))


async def _naming(
    connection: AsyncConnection,
    table: Table,
    key: ColumnElement[str],
    tenant_id: str,
    digits: str,
) -> list[str]:
    near = or_(_near(key, digits), _near(cast(table.c.body, Text), digits))
    statement = select(key, table.c.body).where(table.c.tenant_id == tenant_id, near)
    rows = await connection.execute(statement)
    return [row[0] for row in rows if number.is_named_in([row[0], row[1]], digits)]


async def _queued(connection: AsyncConnection, tenant_id: str, digits: str) -> list[str]:
    columns = (queue_items.c.queue_id, queue_items.c.to_number, queue_items.c.metadata)
    near = or_(
        _near(queue_items.c.to_number, digits),
        _near(cast(queue_items.c.metadata, Text), digits),
    )
    mine = queue_items.c.tenant_id == tenant_id
    rows = await connection.execute(select(*columns).where(mine, _IS_OVER, near))
    return [row[0] for row in rows if number.is_named_in([row[1], row[2]], digits)]


def _near(column: ColumnElement[str], digits: str) -> ColumnElement[bool]:
    """Return whether the digits stand in a text, whatever separates them: a first, cheap sieve."""
    stripped = column
    for separator in number.SEPARATORS:
        stripped = func.replace(stripped, separator, "")
    return stripped.contains(digits)
