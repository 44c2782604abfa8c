"""Between SIP's words for an end and ours: what a far end's means, and how we refuse a caller."""

from __future__ import annotations

from datetime import datetime

from bridges.ending import Ending
from bridges.sip.ipc import Over
from contracts.outcome import Reason, sip_outcome

UNAVAILABLE = 503
NOT_ACCEPTABLE_HERE = 488
REQUEST_TERMINATED = 487
_REFUSALS = {
    Reason.AT_CAPACITY: 486,
    Reason.NO_AGENT: 486,
    Reason.BOT_UNKNOWN: 404,
    Reason.OUTSIDE_HOURS: 480,
    Reason.UNAUTHORISED: 403,
    Reason.BOT_ENDED: 603,
}


def refusal_status(ending: Ending) -> int:
    """Return what a caller is answered whose call ends before it was answered.

    486 makes a carrier try another line or tell the caller to; 503 may make it avoid us for a
    while, so it is for our own failures alone.
    """
    return ending.sip_status_code or _REFUSALS.get(ending.reason, UNAVAILABLE)


def ended_incoming(over: Over, at: datetime) -> Ending:
    """Return how a call ended that came in, or was answered whoever placed it."""
    match over.how:
        case "bye" | "cancelled":
            return Ending(Reason.CALLER_HUNG_UP, at, over.how)
        case "unacknowledged":
            return Ending(Reason.HANDSHAKE_TIMEOUT, at, "our answer was not acknowledged")
        case "expired":
            return Ending(Reason.CALLER_DISCONNECTED, at, "the far end is gone without a word")
        case "failed":
            return Ending(Reason.PROTOCOL_BROKEN, at, "the far end answered our offer with none")
        case "refused" | "unanswered" | "unreachable" | "lost":
            return Ending(Reason.BRIDGE_LOST, at, f"signalling gave the call up: {over.how}")


def ended_dial(over: Over, at: datetime) -> Ending:
    """Return how a call ended that we placed and nobody answered."""
    match over.how:
        case "failed":
            status = over.status_code or UNAVAILABLE
            # 487 without a CANCEL of ours: somebody on the way gave up waiting.
            is_given_up = status == REQUEST_TERMINATED
            reason = Reason.NO_ANSWER if is_given_up else sip_outcome(status).reason
            return Ending(reason, at, f"SIP {status}", sip_status_code=status)
        case "unanswered" if over.rang:
            return Ending(Reason.NO_ANSWER, at, "it rang and nobody answered")
        case "unanswered":
            return Ending(Reason.CARRIER_UNREACHABLE, at, "the carrier never let it ring")
        case "unreachable" | "expired":
            return Ending(Reason.CARRIER_UNREACHABLE, at, "the carrier cannot be reached")
        case "cancelled" | "bye" | "refused" | "unacknowledged" | "lost":
            return Ending(Reason.DIAL_ABORTED, at, f"signalling gave the dial up: {over.how}")
