"""How a call ended as a bridge sees it, and what its peer is told: a table from reason to code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bridges.wire.close import CloseCode, ProtocolError
from contracts.outcome import Reason
from sidecar.client import Refused, SidecarError

CLOSE_CODES: dict[Reason, CloseCode] = {
    Reason.BOT_ENDED: CloseCode.NORMAL,
    Reason.DEAD_AIR: CloseCode.NORMAL,
    Reason.TRANSFERRED: CloseCode.NORMAL,
    Reason.CALLER_HUNG_UP: CloseCode.NORMAL,
    Reason.CALLER_DISCONNECTED: CloseCode.NORMAL,
    Reason.VOICEMAIL: CloseCode.NORMAL,
    Reason.NO_RESPONSE: CloseCode.NORMAL,
    Reason.MAX_DURATION: CloseCode.NORMAL,
    Reason.OUTSIDE_HOURS: CloseCode.OUTSIDE_HOURS,
    Reason.CLOSED_TO_VISITORS: CloseCode.OUTSIDE_HOURS,
    Reason.AGENT_DESK: CloseCode.NORMAL,
    Reason.NO_ANSWER: CloseCode.NORMAL,
    Reason.BUSY: CloseCode.NORMAL,
    Reason.DECLINED: CloseCode.NORMAL,
    Reason.BOT_UNKNOWN: CloseCode.BOT_UNKNOWN,
    Reason.CONFIG_UNAVAILABLE: CloseCode.UNAVAILABLE,
    Reason.CONFIG_INVALID: CloseCode.UNAVAILABLE,
    Reason.UNAUTHORISED: CloseCode.UNAUTHORISED,
    Reason.AT_CAPACITY: CloseCode.AT_CAPACITY,
    Reason.NO_AGENT: CloseCode.NO_AGENT,
    Reason.AGENT_LOST: CloseCode.INTERNAL,
    Reason.PIPELINE_FAILED: CloseCode.INTERNAL,
    Reason.BRIDGE_LOST: CloseCode.RESTARTING,
    Reason.ROOM_LOST: CloseCode.INTERNAL,
    Reason.PROTOCOL_BROKEN: CloseCode.MALFORMED,
    Reason.HANDSHAKE_TIMEOUT: CloseCode.HANDSHAKE_TIMEOUT,
    Reason.MEDIA_TIMEOUT: CloseCode.MEDIA_TIMEOUT,
    Reason.PEER_STALLED: CloseCode.PEER_STALLED,
    Reason.ABANDONED: CloseCode.NORMAL,
    Reason.CALLEE_UNKNOWN: CloseCode.NORMAL,
    Reason.CARRIER_REFUSED: CloseCode.NORMAL,
    Reason.CARRIER_UNREACHABLE: CloseCode.NORMAL,
    Reason.DIAL_ABORTED: CloseCode.NORMAL,
    Reason.DIAL_LOST: CloseCode.INTERNAL,
    Reason.NO_MEDIA: CloseCode.MEDIA_TIMEOUT,
}

_TIMEOUTS = {
    CloseCode.HANDSHAKE_TIMEOUT: Reason.HANDSHAKE_TIMEOUT,
    CloseCode.MEDIA_TIMEOUT: Reason.MEDIA_TIMEOUT,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """One ending: what is reported, and what the peer reads when its connection closes."""

    reason: Reason
    at: datetime
    detail: str = ""
    code: CloseCode | None = None
    sip_status_code: int | None = None
    """The SIP response that goes with it: theirs to our INVITE, or the one they are to get."""

    @property
    def close_code(self) -> CloseCode:
        """What the peer's connection is closed with."""
        return self.code or CLOSE_CODES[self.reason]


def broken_protocol(error: ProtocolError, at: datetime) -> Ending:
    """Return the ending of a peer that broke its protocol, or let one of its deadlines pass."""
    reason = _TIMEOUTS.get(error.close_code, Reason.PROTOCOL_BROKEN)
    return Ending(reason, at, error.reason, error.close_code)


def refused_plan(error: SidecarError, at: datetime) -> Ending:
    """Return the ending of a call that the sidecar did not plan."""
    if not isinstance(error, Refused):
        return Ending(Reason.CONFIG_UNAVAILABLE, at, "the control plane does not answer")
    try:
        return Ending(Reason(error.code), at, error.message)
    except ValueError:
        return Ending(Reason.PIPELINE_FAILED, at, f"{error.code}: {error.message}")
