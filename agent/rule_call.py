"""A call that a LiveKit SIP rule brought: the agent is in its room before the call is known."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from livekit import rtc

from contracts.plan import AgentPlan, RoomClaim
from sidecar.client import SidecarClient, Unavailable

log = structlog.get_logger(__name__)

CALLER_S = 5.0
"""How long the rule's caller may take to appear in the room that was made for them."""
_ATTEMPTS = 3
_PAUSE_S = 0.1


async def caller_in(room: rtc.Room) -> rtc.RemoteParticipant | None:
    """Return the phone in this room, once there is one; None if none comes, or the room is gone."""
    found: asyncio.Future[rtc.RemoteParticipant | None] = asyncio.get_running_loop().create_future()

    def meet(who: rtc.RemoteParticipant) -> None:
        if who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP and not found.done():
            found.set_result(who)

    def leave(_: Any) -> None:
        if not found.done():
            found.set_result(None)

    room.on("participant_connected", meet)
    room.on("disconnected", leave)
    try:
        for who in list(room.remote_participants.values()):
            meet(who)
        async with asyncio.timeout(CALLER_S):
            return await found
    except TimeoutError:
        return None
    finally:
        room.off("participant_connected", meet)
        room.off("disconnected", leave)


async def claim_room(
    client: SidecarClient, room: rtc.Room, caller: rtc.RemoteParticipant, worker_id: str
) -> AgentPlan:
    """Return the plan of the call this room is. Asked again where the answer was lost.

    Raises:
        SidecarError: the call is refused, or somebody else's; the caller has been sent away.
    """
    claim = RoomClaim(
        room_name=room.name,
        worker_id=worker_id,
        caller_identity=caller.identity,
        attributes=dict(caller.attributes),
    )
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            return await client.claim_room(claim)
        except Unavailable:
            if not attempts_left:
                raise
            await asyncio.sleep(_PAUSE_S)
    raise AssertionError
