"""Names that parts must agree on: rooms, identities, attributes, topics, most from a call id."""

from __future__ import annotations

import re
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

AGENT_NAME = "voicefleet"
"""The name under which agent workers register and calls are dispatched."""

ANSWERED_ATTRIBUTE = "vf.answered"
"""Set to `"1"` on the caller's participant once the phone is answered: the bot may speak."""

MEDIA_TOPIC = "vf.media"
"""Data topic of `contracts.media` packets, both ways."""

COMMAND_TOPIC = "vf.command"
"""Data topic of `contracts.command` messages, agent to bridge."""

HOLD_ATTRIBUTE = "vf.hold"
"""`"1"` on the caller's participant while the far end holds the line, else `""`."""

LEG_NEWS_TOPIC = "sip_bridge_events"
"""Data topic of `contracts.leg_news` messages, bridge to agent."""

CHAT_TOPIC = "lk.chat"
"""LiveKit's topic of text streams that hold what a visitor typed."""

CAPTION_TOPIC = "lk.transcription"
"""LiveKit's topic of text streams that hold what either side says."""

CHAT_REFUSED_TOPIC = "vf.chat_refused"
"""Topic of a text stream that tells a visitor why a message was not taken."""

TYPING_TOPIC = "vf.typing"
"""Data topic of an empty packet: the visitor is typing."""

ENDED_ATTRIBUTE = "vf.ended"
"""Set on the agent's participant just before it hangs up on a visitor: `disconnected_by`'s word."""

SIP_CALL_STATUS = "sip.callStatus"
"""LiveKit SIP's own attribute on its participants: `active` once the phone is answered."""

SIP_JOB_METADATA = "sip"
"""What a dispatch by a LiveKit SIP rule carries: the job asks for its call by its room."""

PRESENCE_TRACK = "vf.presence"
"""An empty data track that every participant of ours publishes as soon as it is in the room.

LiveKit tells others of a participant that publishes nothing only every 3 s, both that it came and
that it left; of one that publishes, at once.
"""

_ROOM_PREFIX = {
    "websocket": "ws-",
    "exotel": "exotel-",
    "sip": "call-",
    "dialout": "dialout-",
    "attach": "attach-",
    "web": "web-",
}
MAX_INCARNATION = 999_999
"""What the patterns below can name."""
_AGENT_IDENTITY = re.compile(r"agent-(?P<call_id>[0-9a-f-]{36})-(?P<incarnation>[1-9][0-9]{0,5})")
_JOB_METADATA = re.compile(r"(?P<call_id>[0-9a-f-]{36}) (?P<incarnation>[1-9][0-9]{0,5})")
_STANDBY_METADATA = re.compile(r"standby (?P<standby_id>[0-9a-f-]{36})")
_STANDBY_PREFIX = "standby-"


class Channel(StrEnum):
    """The door a call came through."""

    WEBSOCKET = "websocket"
    EXOTEL = "exotel"
    SIP = "sip"
    DIALOUT = "dialout"
    ATTACH = "attach"
    WEB = "web"


PRESSING = frozenset({Channel.SIP, Channel.DIALOUT, Channel.ATTACH})
"""The doors whose callers hear the keys we press."""
KEYED = PRESSING | {Channel.EXOTEL}
"""The doors whose callers have keys that we hear."""


def call_id_from(random_bytes: bytes) -> str:
    """Return a call id (UUID version 4, 36 characters) made of 16 random bytes."""
    return str(UUID(bytes=random_bytes, version=4))


def room_name(channel: Channel, call_id: str) -> str:
    """Return the LiveKit room a call of ours lives in."""
    return f"{_ROOM_PREFIX[channel]}{call_id}"


def caller_identity(call_id: str) -> str:
    """Return the caller's identity: unique over all rooms, since the SDK keys state by it."""
    return f"caller-{call_id}"


def attached_identity(number: str) -> str:
    """Return the name under which a campaign's dialler puts its callee into a room."""
    return f"sip-{number}"


def standby_room(standby_id: str) -> str:
    """Return the room in which an agent waits, and in which the call it then serves is held."""
    return f"{_STANDBY_PREFIX}{standby_id}"


def standby_of(room_name: str) -> str:
    """Return whose waiting room a room is or was; "" if it never was one."""
    if not room_name.startswith(_STANDBY_PREFIX):
        return ""
    return room_name.removeprefix(_STANDBY_PREFIX)


def standby_identity(standby_id: str) -> str:
    """Return the identity of an agent that joined before its call was known."""
    return f"{_STANDBY_PREFIX}{standby_id}"


def agent_identity(call_id: str, incarnation: int) -> str:
    """Return the identity of the `incarnation`-th agent (from 1) that serves the call."""
    return f"agent-{call_id}-{incarnation}"


def room_agent_identity(room_name: str) -> str:
    """Return the identity of an agent that a LiveKit SIP rule called into a room of its making.

    It joins before its call is known, and becomes the call's first incarnation. A room's name may
    hold the caller's number; this does not.
    """
    return f"agent-room-{sha256(room_name.encode()).hexdigest()[:32]}"


def agent_incarnation(identity: str, call_id: str, standby_id: str = "") -> int | None:
    """Return which incarnation of the call's agent an identity names; None if not its agent.

    A call served by a waiting agent names it: that one, and no other, is its first incarnation.
    """
    if standby_id and identity == standby_identity(standby_id):
        return 1
    match = _AGENT_IDENTITY.fullmatch(identity)
    if match is None or match["call_id"] != call_id:
        return None
    return int(match["incarnation"])


def job_metadata(call_id: str, incarnation: int) -> str:
    """Return what a dispatch carries: enough to claim the call, nothing personal."""
    return f"{call_id} {incarnation}"


def parse_job_metadata(metadata: str) -> tuple[str, int]:
    """Return `(call_id, incarnation)` of a dispatch.

    Raises:
        ValueError: the metadata is not ours.
    """
    match = _JOB_METADATA.fullmatch(metadata)
    if match is None:
        raise ValueError("job metadata is not '<call id> <incarnation>'")
    return match["call_id"], int(match["incarnation"])


def standby_metadata(standby_id: str) -> str:
    """Return what a dispatch carries that calls for an agent to wait."""
    return f"standby {standby_id}"


def parse_standby_metadata(metadata: str) -> str:
    """Return the standby a dispatch names, or "" if it is for a call."""
    match = _STANDBY_METADATA.fullmatch(metadata)
    return "" if match is None else match["standby_id"]
