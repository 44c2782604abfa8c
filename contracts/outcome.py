"""How a call ended: one table from reason to blame, retry safety and the `disconnected_by` word."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Blame(StrEnum):
    """Whose doing an ending is. What nobody mapped is `US`, so that it is noticed."""

    CALLEE = "callee"
    CALLER = "caller"
    BOT = "bot"
    CARRIER = "carrier"
    US = "us"


class Reason(StrEnum):
    """The closed list of endings; the value is also the metric label."""

    BOT_ENDED = "bot_ended"
    DEAD_AIR = "dead_air"
    TRANSFERRED = "transferred"
    CALLER_HUNG_UP = "caller_hung_up"
    CALLER_DISCONNECTED = "caller_disconnected"
    VOICEMAIL = "voicemail"
    NO_RESPONSE = "no_response"
    MAX_DURATION = "max_duration"
    OUTSIDE_HOURS = "outside_hours"
    CLOSED_TO_VISITORS = "closed_to_visitors"
    AGENT_DESK = "agent_desk"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"
    BOT_UNKNOWN = "bot_unknown"
    CONFIG_UNAVAILABLE = "config_unavailable"
    CONFIG_INVALID = "config_invalid"
    UNAUTHORISED = "unauthorised"
    AT_CAPACITY = "at_capacity"
    NO_AGENT = "no_agent"
    AGENT_LOST = "agent_lost"
    PIPELINE_FAILED = "pipeline_failed"
    BRIDGE_LOST = "bridge_lost"
    ROOM_LOST = "room_lost"
    PROTOCOL_BROKEN = "protocol_broken"
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    MEDIA_TIMEOUT = "media_timeout"
    PEER_STALLED = "peer_stalled"
    ABANDONED = "abandoned"
    CALLEE_UNKNOWN = "callee_unknown"
    CARRIER_REFUSED = "carrier_refused"
    CARRIER_UNREACHABLE = "carrier_unreachable"
    DIAL_ABORTED = "dial_aborted"
    DIAL_LOST = "dial_lost"
    NO_MEDIA = "no_media"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One ending.

    `retryable` is False once a phone may have rung: redialling could disturb somebody twice.
    """

    reason: Reason
    blame: Blame
    retryable: bool
    disconnected_by: str


def _table(*rows: tuple[Reason, Blame, bool, str]) -> dict[Reason, Outcome]:
    return {
        reason: Outcome(reason, blame, retryable, word) for reason, blame, retryable, word in rows
    }


OUTCOMES: dict[Reason, Outcome] = _table(
    (Reason.BOT_ENDED, Blame.BOT, False, "bot"),
    (Reason.DEAD_AIR, Blame.CALLER, False, "bot"),
    (Reason.TRANSFERRED, Blame.BOT, False, "bot"),
    (Reason.CALLER_HUNG_UP, Blame.CALLER, False, "customer"),
    (Reason.CALLER_DISCONNECTED, Blame.CARRIER, False, "customer"),
    (Reason.VOICEMAIL, Blame.CALLEE, False, "voicemail"),
    (Reason.NO_RESPONSE, Blame.CALLEE, False, "RNR"),
    (Reason.MAX_DURATION, Blame.BOT, False, "timeout"),
    (Reason.OUTSIDE_HOURS, Blame.CALLER, True, "outside_hours"),
    (Reason.CLOSED_TO_VISITORS, Blame.CALLER, True, "error"),
    (Reason.AGENT_DESK, Blame.BOT, False, "transfer_to_agent"),
    (Reason.NO_ANSWER, Blame.CALLEE, False, "no_answer"),
    (Reason.BUSY, Blame.CALLEE, False, "rejected"),
    (Reason.DECLINED, Blame.CALLEE, False, "rejected"),
    (Reason.BOT_UNKNOWN, Blame.CALLER, False, "error"),
    (Reason.CONFIG_UNAVAILABLE, Blame.US, True, "error"),
    (Reason.CONFIG_INVALID, Blame.US, False, "error"),
    (Reason.UNAUTHORISED, Blame.CALLER, False, "error"),
    (Reason.AT_CAPACITY, Blame.US, True, "error"),
    (Reason.NO_AGENT, Blame.US, True, "error"),
    (Reason.AGENT_LOST, Blame.US, False, "error"),
    (Reason.PIPELINE_FAILED, Blame.US, False, "error"),
    (Reason.BRIDGE_LOST, Blame.US, False, "error"),
    (Reason.ROOM_LOST, Blame.US, False, "error"),
    (Reason.PROTOCOL_BROKEN, Blame.CARRIER, False, "error"),
    (Reason.HANDSHAKE_TIMEOUT, Blame.CARRIER, False, "error"),
    (Reason.MEDIA_TIMEOUT, Blame.CARRIER, False, "error"),
    (Reason.PEER_STALLED, Blame.CARRIER, False, "error"),
    (Reason.ABANDONED, Blame.CALLER, False, "error"),
    (Reason.CALLEE_UNKNOWN, Blame.CALLER, False, "error"),
    (Reason.CARRIER_REFUSED, Blame.CARRIER, True, "error"),
    (Reason.CARRIER_UNREACHABLE, Blame.CARRIER, False, "error"),
    (Reason.DIAL_ABORTED, Blame.US, False, "error"),
    (Reason.DIAL_LOST, Blame.US, False, "error"),
    (Reason.NO_MEDIA, Blame.CARRIER, False, "error"),
)
"""Every reason exactly once; code branches on `Reason` and `Blame`, never on the words."""

_SIP_REASONS = {
    404: Reason.CALLEE_UNKNOWN,
    408: Reason.NO_ANSWER,
    410: Reason.CALLEE_UNKNOWN,
    484: Reason.CALLEE_UNKNOWN,
    604: Reason.CALLEE_UNKNOWN,
    480: Reason.NO_ANSWER,
    486: Reason.BUSY,
    600: Reason.BUSY,
    603: Reason.DECLINED,
}


def outcome(reason: Reason) -> Outcome:
    """Return the ending a reason stands for."""
    return OUTCOMES[reason]


def sip_outcome(status_code: int) -> Outcome:
    """Return the ending a final SIP response to our INVITE means; unmapped: `CARRIER_REFUSED`."""
    return OUTCOMES[_SIP_REASONS.get(status_code, Reason.CARRIER_REFUSED)]
