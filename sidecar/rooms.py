"""Rooms, dispatches and tokens: LiveKit's server API, but for SIP, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from livekit import api

from contracts.ids import AGENT_NAME, ANSWERED_ATTRIBUTE, job_metadata, standby_metadata
from sidecar.livekit_api import Failure, LiveKitApi

EMPTY_TIMEOUT_S = 20
DEPARTURE_TIMEOUT_S = 3
RETURN_TIMEOUT_S = 20
"""How long a room of ours outlives its caller: above what an agent waits for a browser that lost
its network. Agents do not keep a room open, and whoever ends a call deletes its room."""
STANDBY_SLACK_S = 60
"""What a waiting room outlives its agent's age limit by, or its last guest, should nobody be left
to delete it."""
TOKEN_TTL = timedelta(minutes=10)
VISITOR_NAME = "Website Visitor"

_AGENT = api.ParticipantInfo.Kind.AGENT
_SIP = api.ParticipantInfo.Kind.SIP


class RoomError(Exception):
    """LiveKit did not do it."""


class RoomUnavailable(RoomError):
    """No answer, or the server's own failure: trying again may help."""


class RoomRefused(RoomError):
    """The server understood and said no: trying again as it is will not help.

    Attributes:
        code: LiveKit's own word (`not_found`, `unauthenticated` …).
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Attendance:
    """Who is in a room.

    Attributes:
        identities: everybody but agents, in the order in which they came.
        phone: one that LiveKit SIP put there; "" if there is none.
        has_agent: whether an agent of ours is there, or has been called for.
    """

    identities: tuple[str, ...] = ()
    phone: str = ""
    has_agent: bool = False


class Rooms(Protocol):
    """What the control plane needs of LiveKit."""

    async def create(
        self,
        room_name: str,
        call_id: str,
        incarnation: int,
        *,
        empty_timeout_s: int = EMPTY_TIMEOUT_S,
    ) -> None:
        """Make the room and call an agent into it, in one request.

        It lasts so long without anybody else in it.
        """

    async def open_standby(self, room_name: str, standby_id: str, max_age: timedelta) -> None:
        """Make a room that lasts, and call an agent into it that waits there."""

    async def dispatch(self, room_name: str, call_id: str, incarnation: int) -> None:
        """Call another agent into a room that exists."""

    async def delete(self, room_name: str) -> None:
        """Send everybody out. A room that is gone already is fine."""

    async def remove(self, room_name: str, identity: str) -> None:
        """Send one participant out. One that is gone already is fine."""

    async def attendance(self, room_name: str) -> Attendance:
        """Return who is in a room; nobody, if there is no such room."""

    async def listed(self) -> list[str]:
        """Return the names of all rooms there are."""

    def caller_token(self, room_name: str, identity: str, *, answered: bool = False) -> str:
        """Return what lets the caller's bridge join this one room, perhaps answered already."""

    def visitor_token(
        self, room_name: str, identity: str, *, text_only: bool, ttl: timedelta
    ) -> str:
        """Return what lets a browser join this one room, and say who it is in no other words."""


class LiveKitRooms:
    """`Rooms` on a LiveKit server. Close it with `aclose`."""

    def __init__(self, url: str, api_key: str, api_secret: str) -> None:
        self._livekit = LiveKitApi(url, api_key, api_secret, _error)
        self._api_key = api_key
        self._api_secret = api_secret

    async def create(
        self,
        room_name: str,
        call_id: str,
        incarnation: int,
        *,
        empty_timeout_s: int = EMPTY_TIMEOUT_S,
    ) -> None:
        await self._create(
            room_name,
            job_metadata(call_id, incarnation),
            empty_timeout_s,
            departure_timeout_s=RETURN_TIMEOUT_S,
        )

    async def open_standby(self, room_name: str, standby_id: str, max_age: timedelta) -> None:
        # An agent alone does not keep a room from being empty.
        empty_timeout_s = round(max_age.total_seconds()) + STANDBY_SLACK_S
        # A bridge leaves its seat there before the browser comes that was given the agent.
        await self._create(
            room_name,
            standby_metadata(standby_id),
            empty_timeout_s,
            departure_timeout_s=STANDBY_SLACK_S,
        )

    async def dispatch(self, room_name: str, call_id: str, incarnation: int) -> None:
        request = api.CreateAgentDispatchRequest(
            agent_name=AGENT_NAME, room=room_name, metadata=job_metadata(call_id, incarnation)
        )
        with self._livekit.asked() as livekit:
            await livekit.agent_dispatch.create_dispatch(request)

    async def delete(self, room_name: str) -> None:
        with self._livekit.asked(is_fine_if_gone=True) as livekit:
            await livekit.room.delete_room(api.DeleteRoomRequest(room=room_name))

    async def remove(self, room_name: str, identity: str) -> None:
        who = api.RoomParticipantIdentity(room=room_name, identity=identity)
        with self._livekit.asked(is_fine_if_gone=True) as livekit:
            await livekit.room.remove_participant(who)

    async def attendance(self, room_name: str) -> Attendance:
        with self._livekit.asked() as livekit:
            everybody = await livekit.room.list_participants(
                api.ListParticipantsRequest(room=room_name)
            )
            if not everybody.participants:
                # Of a room that is not there, the next question would go unanswered.
                return Attendance()
            called = await livekit.agent_dispatch.list_dispatch(room_name)
        # The server lists them in no order.
        by_arrival = sorted(
            everybody.participants, key=lambda who: (who.joined_at, who.joined_at_ms)
        )
        others = [who for who in by_arrival if who.kind != _AGENT]
        phones = [who.identity for who in others if who.kind == _SIP]
        return Attendance(
            identities=tuple(who.identity for who in others),
            phone=next(iter(phones), ""),
            has_agent=len(others) < len(by_arrival)
            or any(dispatch.agent_name == AGENT_NAME for dispatch in called),
        )

    async def listed(self) -> list[str]:
        with self._livekit.asked() as livekit:
            found = await livekit.room.list_rooms(api.ListRoomsRequest())
        return [room.name for room in found.rooms]

    def caller_token(self, room_name: str, identity: str, *, answered: bool = False) -> str:
        grants = api.VideoGrants(
            room_join=True,
            room=room_name,
            # What the phone hears and says, when somebody listens in.
            can_publish=True,
            can_publish_sources=["microphone"],
            can_publish_data=True,
            # Data reaches a participant over its subscriber connection.
            can_subscribe=True,
            can_update_own_metadata=True,
        )
        token = api.AccessToken(self._api_key, self._api_secret)
        token = token.with_identity(identity).with_grants(grants)
        if answered:
            token = token.with_attributes({ANSWERED_ATTRIBUTE: "1"})
        return token.with_ttl(TOKEN_TTL).to_jwt()

    def visitor_token(
        self, room_name: str, identity: str, *, text_only: bool, ttl: timedelta
    ) -> str:
        grants = api.VideoGrants(
            room_join=True,
            room=room_name,
            can_publish=not text_only,
            can_publish_sources=[] if text_only else ["microphone"],
            # What is typed. Whatever else a browser sends is nobody's to obey.
            can_publish_data=True,
            can_subscribe=True,
            # Attributes say of a phone whether it is answered, and held.
            can_update_own_metadata=False,
        )
        token = api.AccessToken(self._api_key, self._api_secret)
        token = token.with_identity(identity).with_name(VISITOR_NAME).with_grants(grants)
        return token.with_ttl(ttl).to_jwt()

    async def aclose(self) -> None:
        """Close the connections, if any were opened."""
        await self._livekit.aclose()

    async def _create(
        self,
        room_name: str,
        metadata: str,
        empty_timeout_s: int,
        *,
        departure_timeout_s: int,
    ) -> None:
        request = api.CreateRoomRequest(
            name=room_name,
            empty_timeout=empty_timeout_s,
            departure_timeout=departure_timeout_s,
            agents=[api.RoomAgentDispatch(agent_name=AGENT_NAME, metadata=metadata)],
        )
        with self._livekit.asked() as livekit:
            await livekit.room.create_room(request)


def _error(failure: Failure) -> RoomError:
    return RoomUnavailable(failure.code) if failure.is_temporary else RoomRefused(failure.code)
