"""What a caller's participant shows: whether the phone is answered, and why it left. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from livekit import rtc

from contracts.ids import ANSWERED_ATTRIBUTE, SIP_CALL_STATUS, Channel
from contracts.outcome import Reason
from contracts.plan import AgentPlan

_ACTIVE = "active"
_GRACE_S = 3.0
_WEB_GRACE_S = 15.0
"""LiveKit's browser client tries to come back five times within 12 s, and then every 7 s: whom a
change of network has cut off is there again by then."""
_REJOIN_GRACE_S = 3.0
"""That client says goodbye, too, before it joins anew, which takes it a few round trips."""
_Left = rtc.DisconnectReason


def is_answered(plan: AgentPlan, attributes: Mapping[str, str]) -> bool:
    """Return whether somebody listens, by the attributes of a caller who is in the room."""
    if plan.channel is Channel.WEB:
        return True  # somebody at a screen; what their participant shows is of their own making
    if plan.is_seated or attributes.get(ANSWERED_ATTRIBUTE):
        return True
    if plan.media == "data":
        return False
    if plan.channel is Channel.ATTACH:
        return True  # whoever attached a bot has its callee on the phone
    # Anybody else with tracks but LiveKit SIP's phones is a person at a microphone.
    return attributes.get(SIP_CALL_STATUS, _ACTIVE) == _ACTIVE


def why_left(plan: AgentPlan, reason: int | None, *, answered: bool) -> Reason | None:
    """Return how a call ended whose caller's participant left; None if it may come back.

    What a dial came to LiveKit tells in full only to who placed it, the sidecar: this is what can
    be seen from the room.
    """
    dialled = plan.media == "tracks" and plan.call_direction == "outgoing" and not answered
    match reason:
        case _Left.CLIENT_INITIATED:
            return Reason.CARRIER_REFUSED if dialled else Reason.CALLER_HUNG_UP
        case _Left.USER_UNAVAILABLE:
            return Reason.NO_ANSWER
        case _Left.USER_REJECTED:
            return Reason.DECLINED
        case _Left.SIP_TRUNK_FAILURE:
            return Reason.CARRIER_REFUSED
        case _Left.MEDIA_FAILURE:
            return Reason.MEDIA_TIMEOUT
        case _Left.PARTICIPANT_REMOVED:
            if plan.media == "data":
                return Reason.BRIDGE_LOST
            return Reason.DIAL_ABORTED if dialled else Reason.ROOM_LOST
        case _Left.ROOM_DELETED | _Left.ROOM_CLOSED:
            return Reason.ROOM_LOST
        case _:
            return None


def is_told_elsewhere(plan: AgentPlan, *, answered: bool) -> bool:
    """Return whether the sidecar is about to tell, with the carrier's own code, how a dial went."""
    return plan.media == "tracks" and plan.channel is Channel.DIALOUT and not answered


def why_gone(plan: AgentPlan, *, answered: bool) -> Reason:
    """Return how a call ended whose caller vanished and did not come back."""
    if plan.media == "data":
        return Reason.BRIDGE_LOST
    if plan.channel is Channel.WEB:
        return Reason.CALLER_DISCONNECTED
    if plan.call_direction == "incoming" and not answered:
        return Reason.CALLER_HUNG_UP  # while it rang, as often as not
    return Reason.BRIDGE_LOST


def grace_s(plan: AgentPlan, reason: Reason | None = None) -> float:
    """Return how long a caller may take to come back whose connection broke, or who left.

    A telephone that has left does not come back. A browser may: its goodbye is the same whether
    its page is closed or its connection made anew.
    """
    if reason is None:
        return _WEB_GRACE_S if plan.channel is Channel.WEB else _GRACE_S
    may_rejoin = plan.channel is Channel.WEB and reason is Reason.CALLER_HUNG_UP
    return _REJOIN_GRACE_S if may_rejoin else 0.0


def sends_always(plan: AgentPlan) -> bool:
    """Return whether an answered caller who brings no packet at all is a fault, no muted browser.

    Of the doors with tracks these are LiveKit SIP's. Whoever takes a call over cannot tell: the
    line may have been put on hold since, which is not seen there.
    """
    is_phone = plan.channel in (Channel.SIP, Channel.DIALOUT)
    return plan.media == "tracks" and is_phone and plan.answered_at is None


def is_expected(plan: AgentPlan) -> bool:
    """Return whether the caller must be in the room already: it came with them, or they talked."""
    if plan.media == "data":
        return False  # a bridge's end is the sidecar's to notice
    return plan.channel is Channel.SIP or plan.answered_at is not None
