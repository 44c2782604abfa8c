"""A door asks for a call: slot, config, admission, hours, room; a refusal leaves no slot."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from weakref import WeakValueDictionary

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import ids
from contracts.bot import BotConfig
from contracts.event import EventType
from contracts.outcome import Reason
from contracts.plan import Plan, PlanRequest
from sidecar import admission, capacity, ending, progress, standby
from sidecar.clock import Clock
from sidecar.configure import (
    ConfigQuery,
    ConfigSource,
    Configured,
    prepare,
    require_open,
    session_id_of,
)
from sidecar.denial import Code, Denied
from sidecar.metrics import Metrics
from sidecar.pace import Pace, TooFast
from sidecar.prefetch import Prefetch, due_at
from sidecar.recording import RecordingFolder
from sidecar.rooms import RoomError, Rooms
from sidecar.settings import Settings
from sidecar.standby import Standbys
from sidecar.store import calls, events
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.events import Draft
from sidecar.wake import Bells

log = structlog.get_logger(__name__)

MAX_NAME_CHARS = 200
_START_BURST = 2
_MAX_START_WAIT_S = 4.0
"""Well within what a bridge waits for a plan, and a caller for a voice."""

_KEPT = {
    Code.OUTSIDE_HOURS: Reason.OUTSIDE_HOURS,
    Code.CONFIG_UNAVAILABLE: Reason.CONFIG_UNAVAILABLE,
    Code.CONFIG_INVALID: Reason.CONFIG_INVALID,
    Code.ROOM_UNAVAILABLE: Reason.ROOM_LOST,
}
"""Refusals an operator wants to read about. The rest (wrong tokens, unknown bots) leave no call."""

_REFUSED = {reason: code for code, reason in _KEPT.items()}

Also = Callable[[AsyncConnection, CallRow], Awaitable[None]]
"""What a door does in the transaction that confirms its call; it may still deny the call."""


class Planner:
    """Plans calls. Asking twice with one idempotency key plans once."""

    def __init__(
        self,
        database: Database,
        configs: ConfigSource,
        rooms: Rooms,
        folder: RecordingFolder,
        settings: Settings,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        bells: Bells,
        standbys: Standbys,
        prefetch: Prefetch,
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._configs = configs
        self._rooms = rooms
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self._bells = bells
        self._standbys = standbys
        self._prefetch = prefetch
        self._metrics = metrics
        self._pace = Pace(
            settings.call_starts_per_s, burst=_START_BURST, max_wait_s=_MAX_START_WAIT_S
        )
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def plan(
        self,
        tenant_id: str,
        request: PlanRequest,
        *,
        configs: ConfigSource | None = None,
        also: Also | None = None,
    ) -> Plan:
        """Return the plan of the call.

        Args:
            tenant_id: whose call it is.
            request: what is asked for.
            configs: where its config comes from, if not from where all others do.
            also: what else is part of the call's confirmation.

        Raises:
            Denied: the call is refused; nothing of it is left but, for some reasons, its record.
        """
        if len(request.bot_id) > MAX_NAME_CHARS or not request.bot_id.strip("."):
            # Nothing but dots would be a way out of `CONFIG_URL`'s path.
            raise Denied(Code.BOT_UNKNOWN, "no bot has such an id")
        key = _short(request.idempotency_key)
        lock = self._asking.setdefault(f"{tenant_id} {key}", asyncio.Lock())
        async with lock:
            row = await self._database.run(lambda c: self._reserve(c, tenant_id, key, request))
            if row.is_ended:
                raise _refusal_of(row)
            if row.config is not None:
                return self.plan_of(row, answered=request.answered)
            return await self._fill(row, request, configs or self._configs, also)

    async def _reserve(
        self, connection: AsyncConnection, tenant_id: str, key: str, request: PlanRequest
    ) -> CallRow:
        await events.hold_order(connection)
        known = await calls.by_key(connection, tenant_id, key)
        if known is not None and not _is_same(known, request):
            raise Denied(Code.KEY_REUSED, "this idempotency key belongs to a different call")
        if known is not None and (known.is_ended or known.config is not None):
            return known
        if known is not None:
            raise Denied(Code.PLANNING, "the call is being planned", retry_after_s=1)
        now = self._clock()
        limit = self._settings.max_concurrent_calls
        (await capacity.measure(connection, tenant_id, limit, now)).admit()
        call_id = self._new_id()
        row = CallRow(
            call_id=call_id,
            tenant_id=tenant_id,
            idempotency_key=key,
            session_id=call_id,
            bot_id=request.bot_id,
            channel=request.channel,
            call_direction=request.call_direction,
            caller_id=request.caller_id,
            did=request.did,
            stream_id=request.stream_id,
            connected_event=request.connected_event,
            bridge_id=request.bridge_id,
            trunk_id=request.trunk_id,
            media=request.media,
            room_name=ids.room_name(request.channel, call_id),
            planned_at=now,
            expires_at=now + timedelta(seconds=self._settings.plan_expiry_s),
        )
        await calls.add(connection, row)
        return row

    async def _fill(
        self, row: CallRow, request: PlanRequest, configs: ConfigSource, also: Also | None
    ) -> Plan:
        try:
            configured = await self._configured(row, request, configs)
            await self._take_turn()
            row = await self._database.run(
                lambda c: self._confirm(c, row, configured, request, also)
            )
            self._prefetch.start(row, configured.config)
            has_agent = bool(row.standby_id)
            if has_agent:
                self._standbys.give(row, is_seated=row.standby_id in request.seats)
            self._bells.events.ring()
            self._bells.timers.ring()
            if not has_agent:
                await self._open_room(row)
        except Denied as denied:
            await self._give_up(row, denied, configs)
            raise
        except BaseException:
            # Cancelled or broken half-way: the slot must not outlive the attempt.
            await self._give_up(row, Denied(Code.PLANNING, "planning failed"), configs)
            raise
        log.info(
            "call_planned",
            call_id=row.call_id,
            bot_id=row.bot_id,
            channel=row.channel,
            standby=has_agent,
        )
        return self.plan_of(row, answered=request.answered)

    async def _take_turn(self) -> None:
        try:
            wait_s = self._pace.reserve(asyncio.get_running_loop().time())
        except TooFast as error:
            retry_after_s = math.ceil(error.wait_s)
            raise Denied(Code.AT_CAPACITY, str(error), retry_after_s=retry_after_s) from error
        if wait_s:
            await asyncio.sleep(wait_s)

    async def _configured(
        self, row: CallRow, request: PlanRequest, configs: ConfigSource
    ) -> Configured:
        query = ConfigQuery(
            row.tenant_id,
            row.bot_id,
            row.caller_id,
            row.stream_id,
            request.connected_event,
            row.did,
            row.call_direction,
        )
        config = await configs.fetch(query)
        admission.admit(config, request, anonymous=self._settings.stream_anonymous)
        now = self._clock()
        configured = prepare(config, query, now, is_per_call=configs.is_per_call)
        try:
            require_open(config, now)
        except Denied:
            # The bot is known, so its owner learns of the call.
            await self._database.run(lambda c: self._confirm(c, row, configured, None))
            raise
        return configured

    async def _confirm(
        self,
        connection: AsyncConnection,
        row: CallRow,
        configured: Configured,
        request: PlanRequest | None,
        also: Also | None = None,
    ) -> CallRow:
        """Give the call its config and, where somebody listens already, an agent that waits."""
        config = configured.config
        session_id = await _session_id(connection, row, config)
        now = self._clock()
        crm_due_at = None
        if request is not None:
            crm_due_at = due_at(config, row.connected_event, now, answered=request.answered)
        waiting = request and await standby.take(connection, row, request, now)
        timeout = timedelta(seconds=self._settings.claim_timeout_s)
        confirmed = replace(
            row,
            room_name=waiting.room_name if waiting else row.room_name,
            session_id=session_id,
            config=config.model_copy(update={"session_id": session_id}).model_dump(mode="json"),
            variables=configured.variables,
            max_call_duration_s=config.max_call_duration_seconds,
            opening_is_fixed=configured.opening_is_fixed,
            claim_due_at=now + (standby.CLAIM_TIMEOUT if waiting else timeout),
            prefetch_due_at=crm_due_at,
        )
        confirmed = await calls.save(connection, row, confirmed)
        if also is not None:
            await also(connection, confirmed)
        planned = Draft(
            call_id=row.call_id,
            bot_id=row.bot_id,
            type=EventType.CALL_PLANNED,
            at=now,
            data={
                "session_id": session_id,
                "bot_id": row.bot_id,
                "channel": row.channel,
                "call_direction": row.call_direction,
                "caller_id": row.caller_id,
            },
        )
        await events.append(connection, row.tenant_id, [planned])
        await self._database.notify(connection)
        if waiting:
            await self._database.notify_standbys(connection)
        return confirmed

    async def _open_room(self, row: CallRow) -> None:
        try:
            await self._rooms.create(row.room_name, row.call_id, row.incarnation)
        except RoomError as error:
            raise Denied(
                Code.ROOM_UNAVAILABLE,
                "LiveKit did not make a room",
                details={"error": str(error)},
                retry_after_s=1,
            ) from error

    async def _give_up(self, row: CallRow, denied: Denied, configs: ConfigSource) -> None:
        reason = _KEPT.get(denied.code)
        now = self._clock()

        async def undo(connection: AsyncConnection) -> bool:
            current = await calls.get(connection, row.tenant_id, row.call_id)
            if current is None or current.is_ended:
                return False
            if reason is None:
                await calls.discard(connection, current)
                return False
            ended = await _addressed(connection, current, configs)
            ended = progress.ending(ended, reason, now, denied.message)
            # Nobody has spoken, so nobody is asked about it: there is no deadline to keep.
            await ending.close(connection, current, ended, self._folder, now, deadline_s=0.0)
            await self._database.notify(connection)
            return True

        if await self._database.run(undo):
            self._metrics.call_ended(reason)
        self._bells.ring_all()
        log.info("call_refused", call_id=row.call_id, bot_id=row.bot_id, code=denied.code)

    def plan_of(self, row: CallRow, *, answered: bool = False) -> Plan:
        """Return a planned call's plan, for whoever carries its caller."""
        identity = row.caller_identity
        return Plan(
            call_id=row.call_id,
            session_id=row.session_id,
            room_name=row.room_name,
            livekit_url=self._settings.livekit_url,
            token=self._rooms.caller_token(row.room_name, identity, answered=answered),
            caller_identity=identity,
            stream_message_ms=(row.config or {}).get("stream_message_ms", 20),
            max_call_duration_s=row.max_call_duration_s,
            standby_id=row.standby_id,
        )


async def _addressed(connection: AsyncConnection, row: CallRow, configs: ConfigSource) -> CallRow:
    """Let the result of a call whose config never came reach whoever has the configs."""
    if row.config is not None or not configs.results_url:
        return row
    config = BotConfig(webhook_url=configs.results_url)
    session_id = await _session_id(connection, row, config)
    return replace(row, session_id=session_id, config=config.model_dump(mode="json"))


async def _session_id(connection: AsyncConnection, row: CallRow, config: BotConfig) -> str:
    """Return the name that somebody outside gave the call, if it can be had, else its own."""
    session_id = session_id_of(config, row.connected_event) or row.call_id
    too_long = len(session_id) > MAX_NAME_CHARS
    if too_long or await calls.is_taken(connection, row.tenant_id, session_id):
        return row.call_id
    return session_id


def _refusal_of(row: CallRow) -> Denied:
    code = _REFUSED.get(row.end_reason or Reason.ABANDONED, Code.CALL_ENDED)
    return Denied(code, row.end_detail or "the call has ended", details={"call_id": row.call_id})


def _is_same(row: CallRow, request: PlanRequest) -> bool:
    asked = (request.bot_id, request.channel, request.call_direction)
    return (row.bot_id, row.channel, row.call_direction) == asked


def _short(key: str) -> str:
    return key if len(key) <= MAX_NAME_CHARS else sha256(key.encode()).hexdigest()
