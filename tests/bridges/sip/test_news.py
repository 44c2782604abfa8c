"""What media processes are told of the endpoint's events."""

from __future__ import annotations

from typing import get_args

import pytest

from bridges.sip import ipc
from bridges.sip.news import MAX_DETAIL_CHARACTERS, ending_of, news_of, over
from bridges.wire.sip import event as wire
from bridges.wire.sip.event import CallHandle, EndCause

CALL = CallHandle("c0ffee")
SDP = b"v=0 \xff"
TEXT = "v=0 �"


@pytest.mark.parametrize(
    ("event", "news"),
    [
        (wire.Acked(CALL, None), ipc.Acked(leg="l")),
        (wire.Acked(CALL, SDP), ipc.Acked(leg="l", sdp=TEXT)),
        (wire.Ringing(CALL, 180), ipc.Rings(leg="l")),
        (wire.EarlyMedia(CALL, 183, SDP), ipc.Rings(leg="l", sdp=TEXT)),
        (wire.Answered(CALL, SDP, ()), ipc.Accepted(leg="l", sdp=TEXT)),
        (wire.Reoffered(CALL, None), ipc.Reoffered(leg="l", sdp=None)),
        (wire.DigitPressed(CALL, "#", 90), ipc.DigitInfo(leg="l", digit="#", duration_ms=90)),
        (wire.ReferAccepted(CALL), ipc.Referred(leg="l", status_code=202, is_final=False)),
        (wire.ReferProgress(CALL, 180, ""), ipc.Referred(leg="l", status_code=180, is_final=False)),
        (wire.ReferDone(CALL, 486, ""), ipc.Referred(leg="l", status_code=486, is_final=True)),
        (wire.ReferRefused(CALL, 405, ""), ipc.Referred(leg="l", status_code=405, is_final=True)),
        (wire.ReferSilent(CALL), ipc.Referred(leg="l", status_code=0, is_final=True)),
        (wire.ReofferAccepted(CALL, SDP), None),
    ],
)
def test_event_is_told_while_the_leg_goes_on(
    event: wire.CallEvent, news: ipc.LegNews | None
) -> None:
    assert news_of("l", event) == news
    assert ending_of("l", event, rang=False) is None


@pytest.mark.parametrize(
    ("event", "ending"),
    [
        (wire.Cancelled(CALL, "SIP;cause=200"), over("l", "cancelled", detail="SIP;cause=200")),
        (wire.Ended(CALL, EndCause.BYE), over("l", "bye", rang=True, detail="bye")),
        (
            wire.Ended(CALL, EndCause.ACK_TIMEOUT),
            over("l", "unacknowledged", rang=True, detail="ack_timeout"),
        ),
        (
            wire.Ended(CALL, EndCause.SESSION_EXPIRED),
            over("l", "expired", rang=True, detail="session_expired"),
        ),
        (
            wire.Ended(CALL, EndCause.DIALOG_LOST, "why"),
            over("l", "expired", rang=True, detail="why"),
        ),
        (
            wire.Ended(CALL, EndCause.BAD_ANSWER),
            over("l", "failed", 488, rang=True, detail="bad_answer"),
        ),
        (wire.Failed(CALL, 486, "Busy"), over("l", "failed", 486, rang=True, detail="Busy")),
        (wire.Unreachable(CALL, "gone"), over("l", "unreachable", rang=True, detail="gone")),
    ],
)
def test_leg_is_over_by_an_event(event: wire.CallEvent, ending: ipc.Over) -> None:
    assert ending_of("l", event, rang=True) == ending
    assert news_of("l", event) is None


def test_every_last_event_of_a_call_is_the_end_of_its_leg() -> None:
    tested = {wire.Cancelled, wire.Ended, wire.Failed, wire.Unreachable, wire.Released}
    assert set(wire.FINAL) == tested
    assert tested < set(get_args(wire.CallEvent))
    released = ending_of("l", wire.Released(CALL, answered=True), rang=False)
    assert released is not None
    assert released.how == "lost"


def test_far_ends_words_are_cut() -> None:
    assert len(over("l", "bye", detail="x" * 10_000).detail) == MAX_DETAIL_CHARACTERS
