"""What LiveKit SIP tells of a phone that it has put into a room: pure.

Its attributes are the phone's own words in part (numbers, header fields), and are cut to size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.sip_header import header_variables

MAX_NUMBER_CHARS = 200
_HEADER_PREFIX = "sip.h."
_IDENTITY_PREFIXES = ("sip_", "sip-")


@dataclass(frozen=True, slots=True)
class SipCaller:
    """A phone in a room.

    Attributes:
        caller_id: its number.
        dialled: the number it called; "" where only the trunk can tell.
        livekit_trunk_id: by which trunk it came, by LiveKit's name; "": by none that is known.
        call_ref: LiveKit's name of this call, unlike the room's used once only; "" if not told.
        connected_event: its own `X-` header fields, for templates.
    """

    room_name: str
    identity: str
    caller_id: str
    dialled: str = ""
    livekit_trunk_id: str = ""
    call_ref: str = ""
    connected_event: Mapping[str, Any] | None = None


def caller_of(room_name: str, identity: str, attributes: Mapping[str, str]) -> SipCaller:
    """Return who a participant of LiveKit SIP's is."""

    def told(*names: str) -> str:
        values = (attributes.get(name, "") for name in names)
        return next(filter(None, values), "")[:MAX_NUMBER_CHARS]

    headers = {
        name.removeprefix(_HEADER_PREFIX): value
        for name, value in attributes.items()
        if name.startswith(_HEADER_PREFIX + "x-")
    }
    return SipCaller(
        room_name=room_name,
        identity=identity,
        caller_id=told("sip.phoneNumber") or number_in(identity),
        dialled=told("sip.calledNumber", "sip.trunkPhoneNumber"),
        livekit_trunk_id=told("sip.trunkID"),
        call_ref=told("sip.callID"),
        connected_event=header_variables(headers),
    )


def number_in(identity: str) -> str:
    """Return the number in the name that LiveKit SIP gives a phone (`sip_+91…`); "" if none is."""
    for prefix in _IDENTITY_PREFIXES:
        if identity.startswith(prefix):
            return identity.removeprefix(prefix)[:MAX_NUMBER_CHARS]
    return ""
