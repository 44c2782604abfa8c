"""What an event of the endpoint is to the media process that has the call: pure functions."""

from __future__ import annotations

from bridges.sip import ipc
from bridges.wire.sip import event as wire

MAX_DETAIL_CHARACTERS = 200

_ENDINGS = {
    wire.EndCause.BYE: "bye",
    wire.EndCause.ACK_TIMEOUT: "unacknowledged",
    wire.EndCause.SESSION_EXPIRED: "expired",
    wire.EndCause.DIALOG_LOST: "expired",
    wire.EndCause.BAD_ANSWER: "failed",
}
NOT_ACCEPTABLE = 488
"""What a call without a usable answer failed with, where no status says so."""


def news_of(leg: str, event: wire.CallEvent) -> ipc.LegNews | None:
    """Return what to tell of an event while the leg goes on; None: nothing, or it is over."""
    match event:
        case wire.Acked(sdp=sdp):
            return ipc.Acked(leg=leg, sdp=_text(sdp))
        case wire.Ringing():
            return ipc.Rings(leg=leg)
        case wire.EarlyMedia(sdp=sdp):
            return ipc.Rings(leg=leg, sdp=_text(sdp))
        case wire.Answered(sdp=sdp):
            return ipc.Accepted(leg=leg, sdp=sdp.decode("utf-8", "replace"))
        case wire.Reoffered(sdp=sdp):
            return ipc.Reoffered(leg=leg, sdp=_text(sdp))
        case wire.DigitPressed(digit=digit, duration_ms=duration_ms):
            return ipc.DigitInfo(leg=leg, digit=digit, duration_ms=duration_ms)
        case wire.ReferAccepted():
            return ipc.Referred(leg=leg, status_code=202, is_final=False)
        case wire.ReferProgress(status=status):
            return ipc.Referred(leg=leg, status_code=status, is_final=False)
        case wire.ReferDone(status=status) | wire.ReferRefused(status=status):
            return ipc.Referred(leg=leg, status_code=status, is_final=True)
        case wire.ReferSilent():
            return ipc.Referred(leg=leg, status_code=0, is_final=True)
        case wire.ReofferAccepted() | wire.ReofferRefused() | wire.DigitRefused():
            return None  # we send neither re-INVITEs nor INFO
        case wire.Referred() | wire.Invited():
            return None
        case wire.Cancelled() | wire.Ended() | wire.Released() | wire.Failed() | wire.Unreachable():
            return None


def ending_of(leg: str, event: wire.CallEvent, *, rang: bool) -> ipc.Over | None:
    """Return how a leg is over by this event, None if it is not."""
    match event:
        case wire.Cancelled(reason=reason):
            return over(leg, "cancelled", detail=reason)
        case wire.Ended(cause=cause, reason=reason):
            status = NOT_ACCEPTABLE if cause is wire.EndCause.BAD_ANSWER else None
            return over(leg, _ENDINGS[cause], status, rang=rang, detail=reason or cause.value)
        case wire.Released():
            return over(leg, "lost", rang=rang, detail="the endpoint ended it")
        case wire.Failed(status=status, reason=reason):
            return over(leg, "failed", status, rang=rang, detail=reason)
        case wire.Unreachable(detail=detail):
            return over(leg, "unreachable", rang=rang, detail=detail)
        case _:
            return None


def over(
    leg: str, how: str, status_code: int | None = None, *, rang: bool = False, detail: str = ""
) -> ipc.Over:
    """Return the last word on a leg; the far end's own words are cut."""
    return ipc.Over.model_validate(
        {
            "leg": leg,
            "how": how,
            "status_code": status_code,
            "rang": rang,
            "detail": detail[:MAX_DETAIL_CHARACTERS],
        }
    )


def _text(sdp: bytes | None) -> str | None:
    return None if sdp is None else sdp.decode("utf-8", "replace")
