"""Agents that wait for a call: one row each, changed by compare-and-set, gone with its call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.call import CallState
from sidecar.store.tables import calls, standbys


class StandbyState(StrEnum):
    """`CLAIMED` belongs to a call, its room included; of `GONE` only the room is left."""

    MAKING = "making"
    READY = "ready"
    CLAIMED = "claimed"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandbyRow:
    """One waiting agent.

    Attributes:
        worker_id: the agent, by the name under which it will claim the call.
        bridge_id: the bridge that is to hold the caller's seat; of a claimed one, that did.
        call_id: the call it was given to.
        room_due_at: when the room of one that is gone is to be deleted.
    """

    standby_id: str
    tenant_id: str
    room_name: str
    state: StandbyState
    made_at: datetime
    worker_id: str | None = None
    bridge_id: str | None = None
    call_id: str | None = None
    ready_at: datetime | None = None
    claimed_at: datetime | None = None
    room_due_at: datetime | None = None


_NAMES = [column.name for column in fields(StandbyRow)]
_COLUMNS = [standbys.c[name] for name in _NAMES]
_UNCLAIMED = (StandbyState.MAKING, StandbyState.READY)


def _row(values: Any) -> StandbyRow:
    named = dict(zip(_NAMES, values, strict=True))
    return StandbyRow(**{**named, "state": StandbyState(named["state"])})


async def add(connection: AsyncConnection, row: StandbyRow) -> None:
    await connection.execute(insert(standbys).values({n: getattr(row, n) for n in _NAMES}))


async def get(connection: AsyncConnection, tenant_id: str, standby_id: str) -> StandbyRow | None:
    mine = and_(standbys.c.tenant_id == tenant_id, standbys.c.standby_id == standby_id)
    values = (await connection.execute(select(*_COLUMNS).where(mine))).one_or_none()
    return None if values is None else _row(values)


async def listed(connection: AsyncConnection, tenant_id: str) -> list[StandbyRow]:
    """Return every row, the oldest first: a handful, since rows go with their calls."""
    statement = select(*_COLUMNS).where(standbys.c.tenant_id == tenant_id)
    oldest_first = statement.order_by(standbys.c.made_at, standbys.c.standby_id)
    return [_row(values) for values in await connection.execute(oldest_first)]


async def become_ready(
    connection: AsyncConnection, row: StandbyRow, worker_id: str, at: datetime
) -> bool:
    """Note that the agent is in its room. False if it is not expected any more."""
    values = {"state": StandbyState.READY, "worker_id": worker_id, "ready_at": at}
    return await _change(connection, row, (StandbyState.MAKING,), values)


async def claim(
    connection: AsyncConnection,
    row: StandbyRow,
    call_id: str,
    bridge_id: str | None,
    at: datetime,
) -> bool:
    """Give a ready agent to a call, whose bridge may hold the seat beside it.

    False if somebody else was faster, or it has gone.
    """
    values = {
        "state": StandbyState.CLAIMED,
        "call_id": call_id,
        "bridge_id": bridge_id,
        "claimed_at": at,
    }
    return await _change(connection, row, (StandbyState.READY,), values)


async def retire(connection: AsyncConnection, row: StandbyRow, at: datetime) -> bool:
    """Send an agent away that no call was given to, and have its room deleted."""
    values = {"state": StandbyState.GONE, "room_due_at": at}
    return await _change(connection, row, _UNCLAIMED, values)


async def abandon(connection: AsyncConnection, row: StandbyRow, at: datetime) -> bool:
    """Take back the room of an agent whose call never came about."""
    values = {"state": StandbyState.GONE, "room_due_at": at}
    return await _change(connection, row, (StandbyState.CLAIMED,), values)


async def seat(connection: AsyncConnection, row: StandbyRow, bridge_id: str) -> bool:
    """Let a bridge hold the seat beside an agent that waits."""
    return await _change(connection, row, (StandbyState.READY,), {"bridge_id": bridge_id})


async def room_is_stuck(connection: AsyncConnection, row: StandbyRow, retry_at: datetime) -> None:
    await _change(connection, row, (StandbyState.GONE,), {"room_due_at": retry_at})


async def remove(connection: AsyncConnection, row: StandbyRow) -> None:
    """Forget one whose room is gone, or is its call's affair."""
    await connection.execute(delete(standbys).where(standbys.c.standby_id == row.standby_id))


async def calls_of(
    connection: AsyncConnection, tenant_id: str, standby_ids: list[str]
) -> dict[str, str]:
    """Return the calls that some standbys were given to, by standby."""
    if not standby_ids:
        return {}
    statement = select(standbys.c.standby_id, standbys.c.call_id).where(
        standbys.c.tenant_id == tenant_id,
        standbys.c.standby_id.in_(standby_ids),
        standbys.c.call_id.is_not(None),
    )
    return {row.standby_id: row.call_id for row in await connection.execute(statement)}


async def states_of_calls(
    connection: AsyncConnection, tenant_id: str
) -> Mapping[str, CallState | None]:
    """Return, by standby, the state of the call it was given to; None if there is no such call."""
    joined = standbys.outerjoin(calls, standbys.c.call_id == calls.c.call_id)
    statement = (
        select(standbys.c.standby_id, calls.c.state)
        .select_from(joined)
        .where(standbys.c.tenant_id == tenant_id, standbys.c.call_id.is_not(None))
    )
    return {
        standby_id: None if state is None else CallState(state)
        for standby_id, state in await connection.execute(statement)
    }


async def _change(
    connection: AsyncConnection,
    row: StandbyRow,
    allowed: tuple[StandbyState, ...],
    values: dict[str, Any],
) -> bool:
    mine = and_(
        standbys.c.tenant_id == row.tenant_id,
        standbys.c.standby_id == row.standby_id,
        standbys.c.state.in_(allowed),
    )
    return (await connection.execute(update(standbys).where(mine).values(**values))).rowcount == 1
