"""Names that parts must agree on: rooms, identities, attributes, topics, most from a call id."""

from __future__ import annotations

import re
from enum import StrEnum
from uuid import UUID

AGENT_NAME = "voicefleet"
"""The name under which agent workers register and calls are dispatched."""

ANSWERED_ATTRIBUTE = "vf.answered"
"""Set to `"1"` on the caller's participant once the phone is answered: the bot may speak."""

MEDIA_TOPIC = "vf.media"
"""Data topic of `contracts.media` packets, both ways."""

COMMAND_TOPIC = "vf.command"
"""Data topic of `contracts.command` messages, agent to bridge."""

PRESENCE_TRACK = "vf.presence"
"""An empty data track that every participant of ours publishes as soon as it is in the room.

LiveKit tells others of a participant that publishes nothing only every 3 s, both that it came and
that it left; of one that publishes, at once.
"""

_ROOM_PREFIX = {"websocket": "ws-", "exotel": "exotel-", "dialout": "dialout-", "web": "web-"}
MAX_INCARNATION = 999_999
"""What the patterns below can name."""
_AGENT_IDENTITY = re.compile(r"agent-(?P<call_id>[0-9a-f-]{36})-(?P<incarnation>[1-9][0-9]{0,5})")
_JOB_METADATA = re.compile(r"(?P<call_id>[0-9a-f-]{36}) (?P<incarnation>[1-9][0-9]{0,5})")


class Channel(StrEnum):
    """The door a call came through."""

    WEBSOCKET = "websocket"
    EXOTEL = "exotel"
    DIALOUT = "dialout"
    WEB = "web"


def call_id_from(random_bytes: bytes) -> str:
    """Return a call id (UUID version 4, 36 characters) made of 16 random bytes."""
    return str(UUID(bytes=random_bytes, version=4))


def room_name(channel: Channel, call_id: str) -> str:
    """Return the LiveKit room a call of ours lives in."""
    return f"{_ROOM_PREFIX[channel]}{call_id}"


def caller_identity(call_id: str) -> str:
    """Return the caller's identity: unique over all rooms, since the SDK keys state by it."""
    return f"caller-{call_id}"


def agent_identity(call_id: str, incarnation: int) -> str:
    """Return the identity of the `incarnation`-th agent (from 1) that serves the call."""
    return f"agent-{call_id}-{incarnation}"


def agent_incarnation(identity: str, call_id: str) -> int | None:
    """Return which incarnation of the call's agent an identity names; None if not its agent."""
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
