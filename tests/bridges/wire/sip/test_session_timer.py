"""Session timers: who refreshes, when, and what happens when nobody does."""

from __future__ import annotations

import pytest

from bridges.wire.sip.agenda import Agenda
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.header import Headers
from bridges.wire.sip.message import Request, Response
from bridges.wire.sip.profile import Profile
from bridges.wire.sip.session_timer import Interval, SessionTimer, min_interval_s

TIMER = ("Supported", "timer")


class Watch:
    """A timer, and what it did."""

    def __init__(self, profile: Profile | None = None) -> None:
        self.agenda = Agenda()
        self.refreshes: list[float] = []
        self.expiries: list[float] = []
        self.timer = SessionTimer(
            profile or Profile("h"), self.agenda, self.refreshes.append, self.expiries.append
        )

    def let_pass(self, seconds: float) -> None:
        while (due := self.agenda.deadline()) is not None and due <= seconds:
            self.agenda.expire(due)


def a_request(*fields: tuple[str, str]) -> Request:
    return Request("INVITE", "sip:a@b", Headers(fields))


def a_response(*fields: tuple[str, str]) -> Response:
    return Response(200, "OK", Headers(fields))


@pytest.mark.parametrize(
    ("fields", "told", "refreshes", "expiries"),
    [
        ((), (), [], []),
        ((TIMER, ("Min-SE", "soon")), (), [], []),
        ((("Session-Expires", "300"),), "300;refresher=uas", [150.0], [300.0]),
        ((("Session-Expires", "0"),), "90;refresher=uas", [45.0], [90.0]),
        ((TIMER,), "1800;refresher=uas", [900.0], [1800.0]),
        ((TIMER, ("Min-SE", "3600")), "3600;refresher=uas", [1800.0], [3600.0]),
        ((TIMER, ("Session-Expires", "300")), "300;refresher=uac", [], [268.0]),
        ((TIMER, ("x", "90;refresher=UAC")), "90;refresher=uac", [], [60.0]),
        ((TIMER, ("x", "90;refresher=uas;y")), "90;refresher=uas", [45.0], [90.0]),
        ((TIMER, ("x", "90;refresher=me")), "90;refresher=uac", [], [60.0]),
        ((("Session-Expires", "300;refresher=uac"),), "300;refresher=uas", [150.0], [300.0]),
    ],
)
def test_callee_says_who_refreshes(
    fields: tuple[tuple[str, str], ...], told: str, refreshes: list[float], expiries: list[float]
) -> None:
    watch = Watch()
    headers = dict(watch.timer.accept(a_request(*fields), 0.0))
    watch.let_pass(10_000.0)

    assert headers.get("Session-Expires", ()) == told
    assert headers.get("Require") == ("timer" if "uac" in told else None)
    assert (watch.refreshes, watch.expiries) == (refreshes, expiries)


@pytest.mark.parametrize(
    ("fields", "refreshes", "expiries"),
    [
        ((), [], []),
        ((("Session-Expires", "x"),), [], []),
        ((("Session-Expires", "300;refresher=uac"),), [150.0], [300.0]),
        ((("Session-Expires", "300"),), [150.0], [300.0]),
        ((("Session-Expires", "0;refresher=uac"),), [45.0], [90.0]),
        ((("Session-Expires", "300;refresher=uas"),), [], [268.0]),
    ],
)
def test_caller_takes_what_the_callee_says(
    fields: tuple[tuple[str, str], ...], refreshes: list[float], expiries: list[float]
) -> None:
    watch = Watch()
    watch.timer.take(a_response(*fields), 0.0)
    watch.let_pass(10_000.0)
    assert (watch.refreshes, watch.expiries) == (refreshes, expiries)


def test_caller_asks_for_what_its_profile_says() -> None:
    watch = Watch(Profile("h", session_expires_s=60))
    assert watch.timer.request_headers() == (("Session-Expires", "90"), ("Min-SE", "90"))
    assert Watch(Profile("h", session_expires_s=0)).timer.request_headers() == ()


def test_callee_without_a_wish_adds_no_timer() -> None:
    watch = Watch(Profile("h", session_expires_s=0))
    assert watch.timer.accept(a_request(TIMER), 0.0) == ()
    assert watch.agenda.deadline() is None


def test_longer_sessions_are_asked_for_where_the_peer_insists() -> None:
    watch = Watch()

    assert not watch.timer.raise_minimum(a_response(("Min-SE", "90")))
    assert watch.timer.raise_minimum(a_response(("Min-SE", "3600;x")))
    assert watch.timer.request_headers() == (("Session-Expires", "3600"), ("Min-SE", "3600"))
    assert not watch.timer.raise_minimum(a_response())
    with pytest.raises(ProtocolError):
        watch.timer.raise_minimum(a_response(("Min-SE", "x")))


def test_too_short_a_session_is_refused_if_its_asker_understands_that() -> None:
    timer = Watch().timer
    short = ("Session-Expires", "60")
    assert timer.refuses(a_request(TIMER, short)) == (("Min-SE", "90"),)
    assert timer.refuses(a_request(short)) is None
    assert timer.refuses(a_request(TIMER, ("Session-Expires", "90"))) is None
    assert timer.refuses(a_request(TIMER)) is None
    with pytest.raises(ProtocolError):
        timer.refuses(a_request(TIMER, ("Session-Expires", "soon")))


def test_refresh_that_fails_is_tried_again_before_the_end() -> None:
    watch = Watch()
    watch.timer.take(a_response(("Session-Expires", "100;refresher=uac")), 0.0)
    watch.let_pass(50.0)
    watch.timer.postpone(50.0)
    watch.let_pass(75.0)
    watch.timer.postpone(99.9)
    watch.let_pass(200.0)
    assert watch.refreshes == [50.0, 75.0, 100.9]
    assert watch.expiries == [100.0]


def test_stopped_timer_is_not_postponed() -> None:
    watch = Watch()
    watch.timer.take(a_response(("Session-Expires", "100;refresher=uac")), 0.0)
    watch.timer.stop()
    watch.timer.postpone(1.0)
    watch.let_pass(200.0)
    assert (watch.refreshes, watch.expiries) == ([], [])


def test_interval_is_read() -> None:
    assert Interval.of(a_request(("x", " 90 ; refresher=uas"))) == Interval(90, "uas")
    assert Interval.of(a_request()) is None
    assert min_interval_s(a_request()) == 0
