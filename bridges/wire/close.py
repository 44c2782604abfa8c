"""How a stream connection is closed: the codes peers can rely on, and a protocol's two errors."""

from __future__ import annotations

from enum import IntEnum

MAX_REASON_BYTES = 123
"""RFC 6455 section 5.5: a control frame carries 125 bytes, two of which are the code."""


class CloseCode(IntEnum):
    """Why we close. Below 4000 the meaning is RFC 6455's; from 4400 on it follows HTTP's."""

    NORMAL = 1000
    BINARY_FRAME = 1003
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTARTING = 1012
    NO_AGENT = 1013
    MALFORMED = 4400
    UNAUTHORISED = 4401
    OUTSIDE_HOURS = 4403
    BOT_UNKNOWN = 4404
    HANDSHAKE_TIMEOUT = 4408
    OUT_OF_ORDER = 4409
    MEDIA_TIMEOUT = 4410
    BAD_FORMAT = 4415
    BAD_AUDIO = 4422
    AT_CAPACITY = 4429
    PEER_STALLED = 4430
    UNAVAILABLE = 4503


class ProtocolError(Exception):
    """The peer broke the protocol: close the connection with this code and this reason.

    Attributes:
        close_code: what to close with; its name in lower case is the metric label.
        reason: what was expected and what was found. Holds nothing the peer sent but lengths,
            types and event names, so it may be logged.
    """

    def __init__(self, close_code: CloseCode, reason: str) -> None:
        super().__init__(f"{close_code.name.lower()}: {reason}")
        self.close_code = close_code
        self.reason = reason


class InvalidState(Exception):
    """We asked for something the protocol does not allow now: our bug, never to be caught."""


def close_reason(text: str) -> str:
    """Return `text` cut to what a close frame holds, at a character's boundary."""
    return text.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")
