"""Calls to be placed: ready once their agent is, claimed once and for all, never placed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.telephony import dials

_OPEN = text("state <> 'settled'")
"""The index's own words: SQLite goes by a partial index only where a query repeats them."""


class DialState(StrEnum):
    """How far a dial is. It never goes back."""

    WAITING = "waiting"
    READY = "ready"
    CLAIMED = "claimed"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class DialRow:
    """One call to be placed.

    Attributes:
        kind: who places it, as its trunk's: `managed` (a sidecar, by LiveKit SIP) or `bridge`.
        to_number: whom, as the trunk's carrier wants it.
        from_number: the caller id we show; "" where the trunk has none.
        claimed_by: the bridge or sidecar that places it.
        leased_until: managed: when the sidecar that places it counts as dead.
        sip_status_code: the carrier's final answer, where there was one.
    """

    call_id: str
    tenant_id: str
    trunk_id: str
    kind: str
    to_number: str
    from_number: str
    created_at: datetime
    ringing_timeout_s: float
    state: str = DialState.WAITING
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    leased_until: datetime | None = None
    settled_at: datetime | None = None
    sip_status_code: int | None = None


_NAMES = tuple(DialRow.__dataclass_fields__)
_COLUMNS = [dials.c[name] for name in _NAMES]


def _row(values: Any) -> DialRow:
    return DialRow(**dict(zip(_NAMES, values, strict=True)))


async def add(connection: AsyncConnection, row: DialRow) -> None:
    await connection.execute(insert(dials).values({name: getattr(row, name) for name in _NAMES}))


async def get(connection: AsyncConnection, tenant_id: str, call_id: str) -> DialRow | None:
    values = (await connection.execute(select(*_COLUMNS).where(_is(tenant_id, call_id)))).first()
    return None if values is None else _row(values)


async def become_ready(connection: AsyncConnection, tenant_id: str, call_id: str) -> bool:
    """Let a dial be claimed; False where it has been, or is settled."""
    unclaimed = dials.c.state.in_((DialState.WAITING, DialState.READY))
    mine = and_(_is(tenant_id, call_id), unclaimed)
    statement = update(dials).where(mine).values(state=DialState.READY)
    return (await connection.execute(statement)).rowcount == 1


async def ready(
    connection: AsyncConnection, kind: str, *, tenant_id: str | None = None, limit: int
) -> Sequence[DialRow]:
    """Return dials that anybody may claim, the oldest first."""
    wanted = [dials.c.state == DialState.READY, dials.c.kind == kind]
    if tenant_id is not None:
        wanted.append(dials.c.tenant_id == tenant_id)
    oldest = select(*_COLUMNS).where(_OPEN, *wanted).order_by(dials.c.created_at, dials.c.call_id)
    return [_row(values) for values in await connection.execute(oldest.limit(limit))]


async def claim(
    connection: AsyncConnection,
    row: DialRow,
    claimed_by: str,
    at: datetime,
    *,
    leased_until: datetime | None = None,
) -> bool:
    """Take a dial for oneself, for ever; False where somebody has it, or it is settled."""
    free = and_(_is(row.tenant_id, row.call_id), dials.c.state == DialState.READY)
    taken = update(dials).where(free)
    taken = taken.values(
        state=DialState.CLAIMED,
        claimed_by=claimed_by,
        claimed_at=at,
        leased_until=leased_until,
    )
    return (await connection.execute(taken)).rowcount == 1


async def renew(connection: AsyncConnection, claimed_by: str, until: datetime) -> None:
    """Say of all that a sidecar places that it still does."""
    mine = and_(_OPEN, dials.c.state == DialState.CLAIMED, dials.c.claimed_by == claimed_by)
    renewed = update(dials).where(mine, dials.c.leased_until.is_not(None))
    await connection.execute(renewed.values(leased_until=until))


async def claimed(connection: AsyncConnection) -> Sequence[DialRow]:
    """Return every tenant's dials that are being placed."""
    statement = select(*_COLUMNS).where(_OPEN, dials.c.state == DialState.CLAIMED)
    return [_row(values) for values in await connection.execute(statement)]


async def open_by_state(connection: AsyncConnection) -> dict[str, int]:
    """Return how many dials of all tenants are in each state before the last."""
    count = select(dials.c.state, func.count()).where(_OPEN).group_by(dials.c.state)
    found = {state.value: 0 for state in DialState if state is not DialState.SETTLED}
    return found | {row[0]: row[1] for row in await connection.execute(count)}


async def settle(
    connection: AsyncConnection,
    tenant_id: str,
    call_id: str,
    at: datetime,
    sip_status_code: int | None = None,
) -> None:
    """Note that a dial is over: answered, failed or given up. The first word counts."""
    is_open = and_(_is(tenant_id, call_id), dials.c.state != DialState.SETTLED)
    settled = update(dials).where(is_open)
    await connection.execute(
        settled.values(state=DialState.SETTLED, settled_at=at, sip_status_code=sip_status_code)
    )


def _is(tenant_id: str, call_id: str) -> ColumnElement[bool]:
    return and_(dials.c.tenant_id == tenant_id, dials.c.call_id == call_id)
