"""The ledger: every fact and every change of a call, numbered in the order of commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.event import Event, EventType
from contracts.report import Fact
from sidecar.store.tables import call_events, event_counter

_FACT: TypeAdapter[Fact] = TypeAdapter(Fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An event before it has its number. Facts name the report they came in."""

    call_id: str
    bot_id: str
    type: EventType
    at: datetime
    data: dict[str, Any]
    source: str | None = None
    incarnation: int | None = None
    source_seq: int | None = None


async def hold_order(connection: AsyncConnection) -> None:
    """Wait until this transaction is the only one that plans or numbers events."""
    await connection.execute(select(event_counter.c.value).with_for_update())


async def append(connection: AsyncConnection, tenant_id: str, drafts: Sequence[Draft]) -> list[str]:
    """Number and store events; return their ids. Take other rows' locks before this one's."""
    if not drafts:
        return []
    counted = update(event_counter).values(value=event_counter.c.value + len(drafts))
    last = (await connection.execute(counted.returning(event_counter.c.value))).scalar_one()
    rows = [
        {
            "sequence": sequence,
            "tenant_id": tenant_id,
            "event_id": f"{draft.call_id}-{sequence}",
            **{name: getattr(draft, name) for name in Draft.__slots__},
        }
        for sequence, draft in enumerate(drafts, start=last - len(drafts) + 1)
    ]
    await connection.execute(insert(call_events), rows)
    return [str(row["event_id"]) for row in rows]


async def facts(connection: AsyncConnection, tenant_id: str, call_id: str) -> list[Fact]:
    """Return what was reported about a call, in the order it happened."""
    statement = (
        select(call_events.c.data)
        .where(
            call_events.c.tenant_id == tenant_id,
            call_events.c.call_id == call_id,
            call_events.c.source.is_not(None),
        )
        .order_by(call_events.c.at, call_events.c.sequence)
    )
    return [_FACT.validate_python(data) for data in await connection.scalars(statement)]


async def after(
    connection: AsyncConnection,
    tenant_id: str,
    sequence: int,
    *,
    call_id: str | None = None,
    bot_ids: Sequence[str] | None = None,
    types: Sequence[str] = (),
    limit: int = 500,
) -> list[Event]:
    """Return the events that follow `sequence`, oldest first."""
    wanted: list[ColumnElement[bool]] = [
        call_events.c.tenant_id == tenant_id,
        call_events.c.sequence > sequence,
    ]
    if call_id is not None:
        wanted.append(call_events.c.call_id == call_id)
    if bot_ids is not None:
        wanted.append(call_events.c.bot_id.in_(bot_ids))
    if types:
        wanted.append(call_events.c.type.in_(types))
    statement = select(call_events).where(*wanted).order_by(call_events.c.sequence).limit(limit)
    return [_event(row) for row in (await connection.execute(statement)).mappings()]


async def last_sequence(connection: AsyncConnection) -> int:
    """Return the number of the newest committed event."""
    return int(await connection.scalar(select(func.max(event_counter.c.value))) or 0)


def _event(row: RowMapping) -> Event:
    return Event(
        id=row["event_id"],
        type=EventType(row["type"]),
        subject=row["call_id"],
        time=row["at"],
        sequence=row["sequence"],
        tenantid=row["tenant_id"],
        data=row["data"],
    )
