"""A door asks for a call: number, slot, config, hours, room; a refusal leaves no slot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256
from weakref import WeakValueDictionary

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import ids
from contracts.outcome import Reason
from contracts.plan import Plan, PlanRequest
from sidecar import capacity
from sidecar.clock import Clock
from sidecar.configure import ConfigSource
from sidecar.denial import Code, Denied
from sidecar.dialled import NumberSource
from sidecar.preparation import KEPT_OF_ATTACHED, MAX_NAME_CHARS, Also, Preparation
from sidecar.rooms import Rooms
from sidecar.settings import Settings
from sidecar.store import calls, events
from sidecar.store.calls import CallRow
from sidecar.store.database import Database

log = structlog.get_logger(__name__)

MAX_ROOM_CHARS = 100
_STANDBY = ids.standby_room("")
_REFUSED = {reason: code for code, reason in KEPT_OF_ATTACHED.items()}

Told = Callable[[Denied], Awaitable[None]]
"""How a door that has been answered already learns of a refusal."""


class Planner:
    """Plans calls. Asking twice with one idempotency key plans once."""

    def __init__(
        self,
        database: Database,
        configs: ConfigSource,
        numbers: NumberSource,
        preparation: Preparation,
        rooms: Rooms,
        settings: Settings,
        *,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._configs = configs
        self._numbers = numbers
        self._preparation = preparation
        self._rooms = rooms
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._filling: set[asyncio.Task[None]] = set()

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
        row = await self.planned(tenant_id, request, configs=configs, also=also)
        return self.plan_of(row, answered=request.answered)

    async def planned(
        self,
        tenant_id: str,
        request: PlanRequest,
        *,
        configs: ConfigSource | None = None,
        also: Also | None = None,
    ) -> CallRow:
        """Return the planned call's row: as `plan`, for doors of the sidecar itself."""
        key = _short(request.idempotency_key)
        lock = self._asking.setdefault(f"{tenant_id} {key}", asyncio.Lock())
        async with lock:
            row, request = await self._reserved(tenant_id, key, request)
            if row.config is not None:
                return row
            return await self._preparation.fill(row, request, configs or self._configs, also)

    async def accept(
        self,
        tenant_id: str,
        request: PlanRequest,
        *,
        configs: ConfigSource | None = None,
        refused: Told | None = None,
    ) -> CallRow:
        """Take a call on, and plan it behind the asker's back.

        Number, slot and pace are sure when this returns; the rest may still be refused, as the
        call's result tells, and `refused`.

        Raises:
            Denied: there is no such number, or no slot.
        """
        key = _short(request.idempotency_key)
        row, request = await self._reserved(tenant_id, key, request)
        if row.config is not None:
            return row
        source = configs or self._configs
        try:
            turn_at = self._preparation.turn()
        except Denied as denied:
            await self._preparation.give_up(row, denied, source)
            raise

        async def fill() -> None:
            try:
                await self._preparation.fill(row, request, source, None, turn_at)
            except Denied as denied:
                if refused is not None:
                    await refused(denied)
            except Exception:
                log.exception("planning_failed", call_id=row.call_id)

        filling = asyncio.create_task(fill())
        self._filling.add(filling)
        filling.add_done_callback(self._filling.discard)
        return row

    async def aclose(self) -> None:
        """Let what was accepted be planned to its end."""
        await asyncio.gather(*self._filling, return_exceptions=True)

    async def _reserved(
        self, tenant_id: str, key: str, request: PlanRequest
    ) -> tuple[CallRow, PlanRequest]:
        """Return the call's row, new or known, and the request with the bot of its number.

        Raises:
            Denied: there is no bot, no slot, or the call is over.
        """
        if request.room_name.startswith(_STANDBY):
            raise Denied(Code.BODY_INVALID, "agents of ours wait in that room")
        if len(request.room_name) > MAX_ROOM_CHARS:
            raise Denied(Code.BODY_INVALID, f"room names have at most {MAX_ROOM_CHARS} characters")
        if not request.bot_id and request.did:
            found = await self._numbers.find(tenant_id, request.did)
            trunk_id = request.trunk_id or found.trunk_id
            request = request.model_copy(update={"bot_id": found.bot_id, "trunk_id": trunk_id})
        if len(request.bot_id) > MAX_NAME_CHARS or not request.bot_id.strip("."):
            # Nothing but dots would be a way out of `CONFIG_URL`'s path.
            raise Denied(Code.BOT_UNKNOWN, "no bot has such an id")
        row = await self._database.run(lambda c: self._reserve(c, tenant_id, key, request))
        if row.is_ended:
            raise _refusal_of(row)
        return row, request

    async def _reserve(
        self, connection: AsyncConnection, tenant_id: str, key: str, request: PlanRequest
    ) -> CallRow:
        await events.hold_order(connection)
        known = await calls.by_key(connection, tenant_id, key)
        if known is None and request.room_name:
            # A room that somebody else has made holds one call at a time.
            known = await calls.live_in(connection, tenant_id, request.room_name)
        if known is not None and not _is_same(known, request):
            raise Denied(Code.KEY_REUSED, "this idempotency key belongs to a different call")
        if known is not None and (known.is_ended or known.config is not None):
            return known
        if known is not None:
            raise Denied(Code.PLANNING, "the call is being planned", retry_after_s=1)
        now = self._clock()
        limit = self._settings.max_concurrent_calls
        door = capacity.door_of(request.channel, request.media)
        web_limit = self._settings.web_max_calls
        fits = await capacity.measure(connection, tenant_id, limit, now, web_limit=web_limit)
        fits.admit(door)
        await capacity.admit_by_trunk(connection, tenant_id, request.trunk_id)
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
            media_rate_hz=request.media_rate_hz,
            text_only=request.text_only,
            leg_identity=request.caller_identity,
            room_name=request.room_name or ids.room_name(request.channel, call_id),
            planned_at=now,
            expires_at=now + timedelta(seconds=self._settings.plan_expiry_s),
        )
        await calls.add(connection, row)
        return row

    def plan_of(self, row: CallRow, *, answered: bool = False) -> Plan:
        """Return a planned call's plan, for whoever carries its caller.

        No token where the caller is in the room by somebody else's doing.
        """
        identity = row.caller_identity
        config = row.config or {}
        token = ""
        if not row.leg_identity:
            token = self._rooms.caller_token(row.room_name, identity, answered=answered)
        return Plan(
            call_id=row.call_id,
            session_id=row.session_id,
            room_name=row.room_name,
            livekit_url=self._settings.livekit_url,
            token=token,
            caller_identity=identity,
            bot_id=row.bot_id,
            media_rate_hz=row.media_rate_hz,
            stream_message_ms=config.get("stream_message_ms", 20),
            exotel_chunk_bytes=config.get("exotel_chunk_bytes", 3200),
            exotel_stream_limit_s=config.get("exotel_stream_limit_s", 3600),
            max_call_duration_s=row.max_call_duration_s,
            standby_id=row.standby_id,
        )


def _refusal_of(row: CallRow) -> Denied:
    code = _REFUSED.get(row.end_reason or Reason.ABANDONED, Code.CALL_ENDED)
    return Denied(code, row.end_detail or "the call has ended", details={"call_id": row.call_id})


def _is_same(row: CallRow, request: PlanRequest) -> bool:
    asked = (request.bot_id, request.channel, request.call_direction)
    return (row.bot_id, row.channel, row.call_direction) == asked


def _short(key: str) -> str:
    return key if len(key) <= MAX_NAME_CHARS else sha256(key.encode()).hexdigest()
