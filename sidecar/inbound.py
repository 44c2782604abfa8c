"""Phones that somebody else has put into a room: LiveKit SIP, or a campaign's dialler.

Nothing here makes a room. Whoever is refused is sent out of it, which LiveKit SIP turns into a 486.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import structlog

from contracts.ids import Channel, attached_identity
from contracts.plan import AgentPlan, Claim, PlanRequest, RoomClaim
from sidecar.calls import Calls
from sidecar.configure import ConfigSource
from sidecar.denial import Code, Denied
from sidecar.planning import Planner
from sidecar.rooms import Attendance, RoomError, Rooms
from sidecar.sip_caller import SipCaller, caller_of
from sidecar.store import calls, numbers, trunks
from sidecar.store.calls import BY_RULE
from sidecar.store.database import Database

log = structlog.get_logger(__name__)

MAX_TRUNK_ID_CHARS = 64
CLAIMED_WITHIN_S = 5.0
"""How long an agent that a rule has called may take to ask for its call."""
LOOK_S = 0.1
_SOMEBODY_ELSES = frozenset({Code.ALREADY_CLAIMED, Code.PLANNING, Code.KEY_REUSED})
"""Refusals of an agent that say nothing against its caller: another one serves them."""
_PASSING = frozenset({Code.PLANNING, Code.NO_AGENT, Code.ROOM_UNAVAILABLE})
"""Refusals that asking again may undo: the phone rings on meanwhile, for as long as it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A room with somebody on the line, whom a bot is to talk to."""

    room_name: str
    bot_id: str
    to_number: str = ""
    from_number: str = ""
    connected_event: dict[str, Any] = field(default_factory=dict)
    configs: ConfigSource | None = None
    """Where its config comes from, if not from where all others do."""


class Inbound:
    """Plans the calls of phones that are in their rooms already."""

    def __init__(
        self,
        database: Database,
        planner: Planner,
        use_cases: Calls,
        rooms: Rooms,
        *,
        new_id: Callable[[], str],
        claimed_within_s: float = CLAIMED_WITHIN_S,
    ) -> None:
        self._database = database
        self._planner = planner
        self._calls = use_cases
        self._rooms = rooms
        self._new_id = new_id
        self._claimed_within_s = claimed_within_s

    async def claim(self, tenant_id: str, claim: RoomClaim) -> AgentPlan:
        """Plan the call of a room for the agent that its rule has called, and give it to that.

        Asking again returns the same plan.

        Raises:
            Denied: the caller has been sent away; or another agent serves them.
        """
        caller = caller_of(claim.room_name, claim.caller_identity, claim.attributes)
        key = f"{BY_RULE}{_hash_of(caller)}"
        try:
            if not caller.livekit_trunk_id:
                # Only the rule for everybody else lets such calls in, so that they are refused.
                raise Denied(Code.UNAUTHORISED, "no trunk of ours takes this call")
            request = await self._request(tenant_id, caller, key)
            request = request.model_copy(update={"has_agent": True})
            row = await self._planner.planned(tenant_id, request)
            if row.idempotency_key != key:
                raise Denied(Code.ALREADY_CLAIMED, "another agent was called for this room")
        except Denied as denied:
            if denied.code not in _SOMEBODY_ELSES:
                await self._send_out(caller.room_name, caller.identity)
            raise
        asked = Claim(incarnation=1, worker_id=claim.worker_id)
        return await self._calls.claim(tenant_id, row.call_id, asked)

    async def dispatch(self, tenant_id: str, caller: SipCaller) -> str:
        """Have an agent called for a phone, unless one is on its way already; return the call's id.

        That of an agent on its way is known once it asks for the call, which is waited for where
        the asker has no name for the call; else the id may be "".

        Raises:
            Denied: nobody is called. The caller has been sent away, or rings on where asking again
                may help.
        """
        attendance = await self._attendance(caller.room_name)
        async with self._database.read() as connection:
            known = await calls.live_in(connection, tenant_id, caller.room_name)
        if known is not None:
            return known.call_id
        if attendance.has_agent:
            # Its rule has called it, and it asks for its call itself.
            is_named = bool(caller.call_ref or caller.identity)
            return "" if is_named else await self._claimed(tenant_id, caller.room_name)
        if not attendance.identities:
            # It has left, or LiveKit is slower to list it than to tell of it.
            raise Denied(Code.ROOM_UNAVAILABLE, "there is nobody in this room", retry_after_s=1)
        identity = caller.identity or attendance.phone

        async def refused(denied: Denied) -> None:
            await self._send_out(caller.room_name, identity)

        request = await self._request(tenant_id, caller, f"leg {_hash_of(caller, self._new_id())}")
        request = request.model_copy(update={"caller_identity": identity})
        try:
            row = await self._planner.accept(tenant_id, request, refused=refused)
        except Denied as denied:
            if denied.code not in _PASSING:
                await refused(denied)
            raise
        return row.call_id

    async def _claimed(self, tenant_id: str, room_name: str) -> str:
        """Return the id of a room's call as soon as its agent has asked for it."""
        until = asyncio.get_running_loop().time() + self._claimed_within_s
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(LOOK_S)
            async with self._database.read() as connection:
                known = await calls.live_in(connection, tenant_id, room_name)
            if known is not None:
                return known.call_id
        message = "the agent in this room has not asked for its call yet"
        raise Denied(Code.ROOM_UNAVAILABLE, message, retry_after_s=1)

    async def attach(self, tenant_id: str, wanted: Attachment) -> str:
        """Have a bot talk to somebody who has answered already; return the call's id.

        Whatever comes between is told by the call's result.

        Raises:
            Denied: there is no slot, or nobody in the room.
        """
        attendance = await self._attendance(wanted.room_name)
        identity = attached_identity(wanted.to_number)
        if identity not in attendance.identities:
            identity = attendance.phone or next(iter(attendance.identities), "")
        if not identity:
            raise Denied(Code.NOT_FOUND, "there is nobody in this room")
        request = PlanRequest(
            channel=Channel.ATTACH,
            bot_id=wanted.bot_id,
            caller_id=wanted.to_number,
            did=wanted.from_number,
            call_direction="outgoing",
            connected_event=wanted.connected_event,
            idempotency_key=f"attach {self._new_id()}",
            answered=True,
            media="tracks",
            room_name=wanted.room_name,
            caller_identity=identity,
        )
        row = await self._planner.accept(tenant_id, request, configs=wanted.configs)
        return row.call_id

    async def _request(self, tenant_id: str, caller: SipCaller, key: str) -> PlanRequest:
        trunk_id, did = caller.livekit_trunk_id, caller.dialled
        async with self._database.read() as connection:
            trunk = await trunks.known_as(connection, tenant_id, trunk_id) if trunk_id else None
            if trunk is not None:
                trunk_id = trunk.trunk_id
                assigned = await numbers.of_trunk(connection, tenant_id, trunk_id)
                own = [*(row.number for row in assigned), *trunk.trunk.numbers]
                did = did or next(iter(own), "")
        return PlanRequest(
            channel=Channel.SIP,
            caller_id=caller.caller_id,
            did=did,
            stream_id=caller.call_ref,
            connected_event=dict(caller.connected_event or {}),
            idempotency_key=key,
            trunk_id=trunk_id[:MAX_TRUNK_ID_CHARS],
            media="tracks",
            room_name=caller.room_name,
            caller_identity=caller.identity,
        )

    async def _attendance(self, room_name: str) -> Attendance:
        try:
            return await self._rooms.attendance(room_name)
        except RoomError as error:
            raise Denied(
                Code.ROOM_UNAVAILABLE,
                "LiveKit does not tell who is in the room",
                details={"error": str(error)},
                retry_after_s=1,
            ) from error

    async def _send_out(self, room_name: str, identity: str) -> None:
        if not identity:
            return
        try:
            await self._rooms.remove(room_name, identity)
        except RoomError as error:
            # The room's name has a number in it, where the rule says so.
            log.warning("caller_not_removed", room_pii=room_name, error=str(error))


def _hash_of(caller: SipCaller, fresh: str = "") -> str:
    """Return what one call of a phone is known by: a room's name may come again.

    Args:
        caller: the phone.
        fresh: stands in where LiveKit's name of the call was not passed on.
    """
    return sha256(f"{caller.room_name}\0{caller.call_ref or fresh}".encode()).hexdigest()
