"""Call rows: slot, state, endings and timers of every call, changed by compare-and-set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import ids
from contracts.call import Call, CallState
from contracts.outcome import Reason, outcome
from contracts.plan import MediaRate
from sidecar.store.database import Conflict
from sidecar.store.tables import calls, results
from sidecar.store.telephony import dials

BY_RULE = "room "
"""What the keys of calls begin with whose agent a LiveKit SIP rule called into the room."""
UNANSWERED = (CallState.PLANNED, CallState.DIALLING, CallState.RINGING)
_LIVE = text("state <> 'ended'")
"""The index's own words: SQLite goes by a partial index only where a query repeats them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One call as stored. A change compares `version`; the `*_due_at` times drive the watch."""

    call_id: str
    tenant_id: str
    idempotency_key: str
    session_id: str
    bot_id: str
    channel: str
    call_direction: str
    room_name: str
    planned_at: datetime
    expires_at: datetime | None
    caller_id: str = ""
    did: str = ""
    stream_id: str = ""
    connected_event: dict[str, Any] = field(default_factory=dict)
    bridge_id: str = ""
    config: dict[str, Any] | None = None
    variables: dict[str, str] = field(default_factory=dict)
    state: CallState = CallState.PLANNED
    version: int = 1
    incarnation: int = 1
    worker_id: str | None = None
    agent_seq: int = 0
    bridge_seq: int = 0
    illegal_events: int = 0
    max_call_duration_s: int = 600
    opening_is_fixed: bool = False
    answered_at: datetime | None = None
    conversation_at: datetime | None = None
    leg_ended: bool = False
    agent_ended: bool = False
    end_at: datetime | None = None
    end_reason: Reason | None = None
    end_detail: str = ""
    claim_due_at: datetime | None = None
    settle_due_at: datetime | None = None
    room_due_at: datetime | None = None
    agents_lost: int = 0
    """Agents that died while they served the call."""
    handed_off_at: datetime | None = None
    """When a person took the call over: its room outlives the bot."""
    prefetch_due_at: datetime | None = None
    """Until when the agent is to wait for the CRM; None once it has answered, or need not."""
    trunk_id: str = ""
    """By which trunk the call came, or goes; "" for one that is no telephone call of ours."""
    media: str = "data"
    media_rate_hz: MediaRate = 8000
    text_only: bool = False
    config_url: str = ""
    """The control plane that its config came from; "": our own store."""
    leg_identity: str = ""
    """The caller's name in a room that somebody else has made; "" where it is ours to give."""
    result_due_at: datetime | None = None
    """When the ended call's result goes out, whatever is still missing; once it has, until when
    that may amend it. None where nothing is waited for."""

    @property
    def is_ended(self) -> bool:
        return self.state is CallState.ENDED

    @property
    def standby_id(self) -> str:
        """The agent that waited in the call's room before there was a call; "" if none did."""
        return ids.standby_of(self.room_name)

    @property
    def is_visit(self) -> bool:
        """Whether the call is a browser's, in a room that somebody else has made."""
        own = ids.room_name(ids.Channel.WEB, self.call_id)
        return self.channel == ids.Channel.WEB and not self.standby_id and self.room_name != own

    @property
    def caller_identity(self) -> str:
        """The caller's name in the room; "" for a visitor who has not come yet.

        A seat that a bridge had kept free had one before the call.
        """
        if self.leg_identity or self.is_visit:
            return self.leg_identity
        is_seat = self.standby_id and self.media == "data"
        return ids.caller_identity(self.standby_id if is_seat else self.call_id)

    @property
    def call(self) -> Call:
        """The call as the state table sees it."""
        if not self.is_ended:
            return Call(self.state, self.answered_at)
        ending = outcome(self.end_reason or Reason.ABANDONED)
        return Call(self.state, self.answered_at, self.end_at, ending)


_NAMES = [column.name for column in fields(CallRow)]
_COLUMNS = [calls.c[name] for name in _NAMES]


def _row(values: Any) -> CallRow:
    row = CallRow(**dict(zip(_NAMES, values, strict=True)))
    reason = None if row.end_reason is None else Reason(row.end_reason)
    return replace(row, state=CallState(row.state), end_reason=reason)


async def add(connection: AsyncConnection, row: CallRow) -> None:
    """Store a new call; its row is its slot."""
    await connection.execute(insert(calls).values({name: getattr(row, name) for name in _NAMES}))


async def get(connection: AsyncConnection, tenant_id: str, call_id: str) -> CallRow | None:
    return await _one(connection, calls.c.tenant_id == tenant_id, calls.c.call_id == call_id)


async def by_key(
    connection: AsyncConnection, tenant_id: str, idempotency_key: str
) -> CallRow | None:
    same_key = calls.c.idempotency_key == idempotency_key
    return await _one(connection, calls.c.tenant_id == tenant_id, same_key)


async def is_taken(connection: AsyncConnection, tenant_id: str, session_id: str) -> bool:
    """Return whether a call goes by this name, as its session id or its own."""
    names = or_(calls.c.session_id == session_id, calls.c.call_id == session_id)
    mine = and_(calls.c.tenant_id == tenant_id, names)
    found = await connection.scalar(select(calls.c.call_id).where(mine).limit(1))
    return found is not None


async def save(connection: AsyncConnection, before: CallRow, after: CallRow) -> CallRow:
    """Write what changed between `before` and `after`.

    Raises:
        Conflict: the row is no longer as `before` was read.
    """
    changes = {
        name: getattr(after, name)
        for name in _NAMES
        if getattr(after, name) != getattr(before, name)
    }
    statement = (
        update(calls)
        .where(
            calls.c.tenant_id == before.tenant_id,
            calls.c.call_id == before.call_id,
            calls.c.version == before.version,
        )
        .values(**changes, version=before.version + 1)
    )
    if (await connection.execute(statement)).rowcount == 0:
        raise Conflict(before.call_id)
    return replace(after, version=before.version + 1)


async def discard(connection: AsyncConnection, row: CallRow) -> None:
    """Take a call back that never came about: slot, dial and all."""
    gone = await connection.execute(
        delete(calls).where(
            calls.c.tenant_id == row.tenant_id,
            calls.c.call_id == row.call_id,
            calls.c.state == CallState.PLANNED,
        )
    )
    if gone.rowcount:
        await connection.execute(delete(dials).where(dials.c.call_id == row.call_id))


async def count_live(connection: AsyncConnection, tenant_id: str) -> int:
    """Return how many slots are taken."""
    live = _live_of(tenant_id)
    count = await connection.scalar(select(func.count()).select_from(calls).where(live))
    return int(count or 0)


async def live_by_way(connection: AsyncConnection, tenant_id: str) -> dict[tuple[str, str], int]:
    """Return how many slots are taken, by channel and by how the audio travels."""
    way = (calls.c.channel, calls.c.media)
    live = _live_of(tenant_id)
    count = select(*way, func.count()).where(live).group_by(*way)
    return {(row[0], row[1]): row[2] for row in await connection.execute(count)}


async def count_on_trunk(connection: AsyncConnection, tenant_id: str, trunk_id: str) -> int:
    """Return how many calls a trunk carries, those that came in and those we placed."""
    mine = and_(_live_of(tenant_id), calls.c.trunk_id == trunk_id)
    count = await connection.scalar(select(func.count()).select_from(calls).where(mine))
    return int(count or 0)


async def live_by_state(connection: AsyncConnection) -> dict[str, int]:
    """Return how many calls of all tenants are in each state before the end."""
    count = select(calls.c.state, func.count()).where(_LIVE).group_by(calls.c.state)
    found = {state.value: 0 for state in CallState if state is not CallState.ENDED}
    return found | {row[0]: row[1] for row in await connection.execute(count)}


async def any_unclaimed(connection: AsyncConnection, tenant_id: str) -> bool:
    """Return whether a call waits for its agent."""
    waiting = and_(_live_of(tenant_id), calls.c.claim_due_at.is_not(None))
    found = await connection.scalar(select(calls.c.call_id).where(waiting).limit(1))
    return found is not None


async def page(
    connection: AsyncConnection,
    tenant_id: str,
    *,
    bot_ids: Sequence[str] | None = None,
    states: Sequence[str] = (),
    caller_id: str | None = None,
    session_id: str | None = None,
    before: datetime | None = None,
    limit: int = 50,
) -> list[CallRow]:
    """Return calls, newest first; `before` continues after the last one's `planned_at`."""
    wanted: list[ColumnElement[bool]] = [calls.c.tenant_id == tenant_id]
    if bot_ids is not None:
        wanted.append(calls.c.bot_id.in_(bot_ids))
    if states:
        wanted.append(calls.c.state.in_(states))
    if caller_id is not None:
        wanted.append(calls.c.caller_id == caller_id)
    if session_id is not None:
        wanted.append(calls.c.session_id == session_id)
    if before is not None:
        wanted.append(calls.c.planned_at < before)
    newest_first = select(*_COLUMNS).where(*wanted).order_by(calls.c.planned_at.desc()).limit(limit)
    return [_row(values) for values in await connection.execute(newest_first)]


async def due(connection: AsyncConnection, now: datetime) -> list[CallRow]:
    """Return the calls of every tenant that have a timer running out at `now`."""
    ended = calls.c.state == CallState.ENDED
    timers = (calls.c.claim_due_at, calls.c.settle_due_at, calls.c.expires_at)
    overdue = or_(
        and_(~ended, or_(*(timer <= now for timer in timers))),
        and_(ended, or_(calls.c.room_due_at <= now, calls.c.result_due_at <= now)),
    )
    open_ = or_(_LIVE, calls.c.room_due_at.is_not(None), calls.c.result_due_at.is_not(None))
    statement = select(*_COLUMNS).where(open_, overdue).order_by(calls.c.planned_at).limit(100)
    return [_row(values) for values in await connection.execute(statement)]


async def next_due_at(connection: AsyncConnection) -> datetime | None:
    """Return when the next timer of any call runs out."""
    of_live = (calls.c.claim_due_at, calls.c.settle_due_at, calls.c.expires_at)
    of_ended = (calls.c.room_due_at, calls.c.result_due_at)
    timers = (*of_live, *of_ended)
    live = or_(calls.c.state != CallState.ENDED, *(timer.is_not(None) for timer in of_ended))
    soonest = (await connection.execute(select(*map(func.min, timers)).where(live))).one()
    return min((at for at in soonest if at is not None), default=None)


async def live(connection: AsyncConnection) -> list[CallRow]:
    """Return the calls of every tenant that have not ended."""
    statement = select(*_COLUMNS).where(_LIVE)
    return [_row(values) for values in await connection.execute(statement)]


async def live_in(connection: AsyncConnection, tenant_id: str, room_name: str) -> CallRow | None:
    """Return the call that is held in a room."""
    return await _one(connection, _live_of(tenant_id), calls.c.room_name == room_name)


async def held_in(connection: AsyncConnection, tenant_id: str, room_name: str) -> CallRow | None:
    """Return the same, or the call there that has ended for its bot alone: a person talks on."""
    with_person = and_(calls.c.handed_off_at.is_not(None), calls.c.leg_ended.is_(False))
    held = and_(calls.c.room_name == room_name, or_(calls.c.state != CallState.ENDED, with_person))
    # The tenant is wrapped, or SQLite would read all its calls to find those of the room.
    mine = and_(func.coalesce(calls.c.tenant_id, "") == tenant_id, held)
    newest = select(*_COLUMNS).where(mine).order_by(calls.c.planned_at.desc()).limit(1)
    values = (await connection.execute(newest)).one_or_none()
    return None if values is None else _row(values)


async def ended_among(connection: AsyncConnection, room_names: Sequence[str]) -> list[CallRow]:
    """Return the calls that are over of those held in these rooms, if nobody is to close them."""
    over = and_(calls.c.state == CallState.ENDED, calls.c.room_due_at.is_(None))
    statement = select(*_COLUMNS).where(calls.c.room_name.in_(room_names), over)
    return [_row(values) for values in await connection.execute(statement)]


async def hold(
    connection: AsyncConnection, tenant_id: str, call_ids: Sequence[str], until: datetime
) -> None:
    """Keep the slots of calls that are known to be still on their way to an answer."""
    statement = update(calls).where(
        calls.c.tenant_id == tenant_id,
        calls.c.call_id.in_(call_ids),
        calls.c.state.in_(UNANSWERED),
        calls.c.expires_at < until,
    )
    await connection.execute(statement.values(expires_at=until))


async def extend(connection: AsyncConnection, row: CallRow, until: datetime) -> None:
    """Let a call that has outlived its time live on."""
    as_seen = and_(
        calls.c.tenant_id == row.tenant_id,
        calls.c.call_id == row.call_id,
        calls.c.state != CallState.ENDED,
        calls.c.expires_at == row.expires_at,
    )
    await connection.execute(update(calls).where(as_seen).values(expires_at=until))


async def grant_grace(connection: AsyncConnection, now: datetime, grace: timedelta) -> None:
    """After a start: give every live call time to be heard of again before anything is ended."""
    for timer in (calls.c.claim_due_at, calls.c.settle_due_at, calls.c.expires_at):
        overdue = and_(calls.c.state != CallState.ENDED, timer < now + grace)
        await connection.execute(update(calls).where(overdue).values({timer: now + grace}))


async def room_is_gone(connection: AsyncConnection, row: CallRow) -> None:
    await _set_room_due(connection, row, None)


async def room_is_stuck(connection: AsyncConnection, row: CallRow, retry_at: datetime) -> None:
    await _set_room_due(connection, row, retry_at)


async def add_result(
    connection: AsyncConnection, row: CallRow, revision: int, body: dict[str, Any], at: datetime
) -> None:
    """Store a result. The primary key makes each revision exist exactly once."""
    await connection.execute(
        insert(results).values(
            call_id=row.call_id,
            revision=revision,
            tenant_id=row.tenant_id,
            body=body,
            created_at=at,
        )
    )


async def latest_result(
    connection: AsyncConnection, tenant_id: str, call_id: str, revision: int | None = None
) -> dict[str, Any] | None:
    """Return a call's result: its newest revision, or the one asked for."""
    wanted = [results.c.tenant_id == tenant_id, results.c.call_id == call_id]
    if revision is not None:
        wanted.append(results.c.revision == revision)
    newest = select(results.c.body).where(*wanted).order_by(results.c.revision.desc()).limit(1)
    body: dict[str, Any] | None = await connection.scalar(newest)
    return body


async def has_result(connection: AsyncConnection, row: CallRow) -> bool:
    """Return whether a call's result has been made, in any revision."""
    made = select(results.c.revision).where(
        results.c.tenant_id == row.tenant_id, results.c.call_id == row.call_id
    )
    return await connection.scalar(made.limit(1)) is not None


def _live_of(tenant_id: str) -> ColumnElement[bool]:
    """Return which calls of a tenant have not ended.

    The tenant is wrapped, or SQLite would read all its calls by another index to find the few.
    """
    return and_(_LIVE, func.coalesce(calls.c.tenant_id, "") == tenant_id)


async def _set_room_due(connection: AsyncConnection, row: CallRow, at: datetime | None) -> None:
    mine = and_(calls.c.tenant_id == row.tenant_id, calls.c.call_id == row.call_id)
    await connection.execute(update(calls).where(mine).values(room_due_at=at))


async def _one(connection: AsyncConnection, *wanted: ColumnElement[bool]) -> CallRow | None:
    values = (await connection.execute(select(*_COLUMNS).where(*wanted))).one_or_none()
    return None if values is None else _row(values)
