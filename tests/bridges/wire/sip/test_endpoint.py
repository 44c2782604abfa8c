"""Two endpoints joined back to back: whole calls, over wires that lose, double and reorder."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from bridges.wire.close import InvalidState
from bridges.wire.sip.digest import Credentials
from bridges.wire.sip.endpoint import Endpoint, Overloaded, UnknownCall
from bridges.wire.sip.event import (
    Acked,
    Answered,
    CallHandle,
    Cancelled,
    DigitPressed,
    EarlyMedia,
    EndCause,
    Ended,
    Event,
    Failed,
    Invited,
    ReferAccepted,
    ReferDone,
    ReferProgress,
    Referred,
    Released,
    ReofferAccepted,
    Reoffered,
    ReofferRefused,
    Ringing,
    Unreachable,
)
from bridges.wire.sip.flow import Transport
from bridges.wire.sip.profile import Limits, Profile
from bridges.wire.sip.uri import Uri
from tests.fakes.sip_wire import OTHER_SDP, SDP, Passed, Wire

A, B = "10.0.0.1", "10.0.0.2"
BOTH = [Transport.UDP, Transport.TCP]
HOLD = SDP + b"a=sendonly\r\n"
HELD = OTHER_SDP + b"a=recvonly\r\n"
SECRET = Credentials("a", "secret")


class Pair:
    """A wire with a caller at one end and a callee at the other that answers at once."""

    def __init__(
        self, transport: Transport = Transport.UDP, profile: Profile | None = None
    ) -> None:
        self.wire = Wire()
        self.caller = self.wire.endpoint(A, profile)
        self.callee = self.wire.endpoint(B, profile)
        self.transport = transport
        self.incoming: list[CallHandle] = []
        self.on_invited: Callable[[Invited], None] = self.answer
        self.wire.react[B] = self._react

    def answer(self, invited: Invited) -> None:
        self.callee.ring(invited.call, self.wire.now)
        self.callee.answer(invited.call, OTHER_SDP, self.wire.now)

    def _react(self, event: Event) -> None:
        match event:
            case Invited():
                self.incoming.append(event.call)
                self.on_invited(event)
            case Reoffered():
                self.callee.accept_reoffer(event.call, HELD, self.wire.now)
            case Referred():
                self.callee.accept_refer(event.call, self.wire.now)
                self.callee.notify_refer(event.call, 180, self.wire.now)
                self.callee.notify_refer(event.call, 200, self.wire.now)

    def call(self, credentials: Credentials | None = None) -> CallHandle:
        return self.caller.invite(
            Uri.parse(f"sip:bot@{B}"),
            Uri.parse(f"sip:alice@{A}"),
            SDP,
            self.wire.destination(B, self.transport),
            self.wire.now,
            credentials=credentials,
        )

    def talk(self) -> CallHandle:
        call = self.call()
        self.wire.run(1.0)
        assert any(isinstance(each, Answered) for each in self.wire.take(A))
        assert any(isinstance(each, Acked) for each in self.wire.take(B))
        return call

    def types(self, host: str) -> list[str]:
        return [type(each).__name__ for each in self.wire.take(host)]

    def is_forgotten(self) -> bool:
        """Let every timer run out, and tell whether anything is left."""
        self.wire.run(120.0)
        return self.caller.deadline() is None and self.callee.deadline() is None


def loses(share: float, seed: int) -> Callable[[Passed], bool]:
    random = Random(seed)
    return lambda _passed: random.random() < share


@pytest.mark.parametrize("transport", BOTH)
def test_whole_call(transport: Transport) -> None:
    pair = Pair(transport)
    call = pair.talk()
    pair.caller.reoffer(call, HOLD, pair.wire.now)
    pair.caller.send_digit(call, "5", 160, pair.wire.now)
    pair.wire.run(1.0)
    assert pair.wire.take(A) == [ReofferAccepted(call, HELD)]
    (incoming,) = pair.incoming
    assert pair.wire.take(B) == [
        Reoffered(incoming, HOLD),
        DigitPressed(incoming, "5", 160),
        Acked(incoming, None),
    ]
    pair.caller.bye(call, pair.wire.now)
    pair.wire.run(1.0)
    assert pair.wire.take(A) == [Released(call, answered=True)]
    assert pair.types(B) == ["Ended"]
    assert pair.is_forgotten()
    assert len(pair.wire.connections()) == (1 if transport is Transport.TCP else 0)


@pytest.mark.parametrize("seed", range(20))
def test_whole_call_over_a_wire_that_loses_a_third_and_doubles_and_reorders(seed: int) -> None:
    pair = Pair()
    random = Random(seed)
    pair.wire.lose, pair.wire.copies = loses(0.3, seed), 2
    pair.wire.jitter = lambda: random.random() * 0.3
    call = pair.call()
    pair.wire.run(30.0)
    assert [each for each in pair.types(A) if each != "Ringing"] == ["Answered"]
    assert pair.types(B) == ["Invited", "Acked"]
    pair.caller.refer(call, Uri.parse("sip:carol@10.0.0.3"), pair.wire.now)
    pair.wire.run(40.0)
    assert pair.wire.take(A)[-1] in (
        ReferDone(call, 200, "OK"),
        ReferProgress(call, 180, "Ringing"),
    )
    pair.wire.take(B)
    pair.callee.bye(pair.incoming[0], pair.wire.now)
    pair.wire.run(40.0)
    assert pair.types(A) == ["Ended"]
    assert pair.types(B) == ["Released"]
    assert pair.is_forgotten()


def test_early_media_then_busy() -> None:
    pair = Pair()

    def be_busy(invited: Invited) -> None:
        pair.callee.progress(invited.call, OTHER_SDP, pair.wire.now)
        pair.callee.reject(invited.call, 486, pair.wire.now)

    pair.on_invited = be_busy
    call = pair.call()
    pair.wire.run(1.0)
    early, failed = pair.wire.take(A)
    assert early == EarlyMedia(call, 183, OTHER_SDP)
    assert isinstance(failed, Failed)
    assert failed.status == 486
    assert pair.types(B) == ["Invited", "Released"]
    assert pair.is_forgotten()


@pytest.mark.parametrize("transport", BOTH)
def test_callee_asks_for_a_proof(transport: Transport) -> None:
    pair = Pair(transport)

    def ask(invited: Invited) -> None:
        if pair.callee.authenticate(invited.call, "pbx", SECRET, pair.wire.now):
            pair.answer(invited)

    pair.on_invited = ask
    call = pair.call(SECRET)
    pair.wire.run(1.0)
    assert pair.types(A) == ["Ringing", "Answered"]
    assert pair.types(B) == ["Invited", "Released", "Invited", "Acked"]
    pair.call(Credentials("a", "guess"))
    pair.wire.run(1.0)
    assert pair.types(A) == ["Failed"]
    pair.caller.bye(call, pair.wire.now)
    assert pair.is_forgotten()


@pytest.mark.parametrize("delay_s", [0.005, 0.015, 0.5])
def test_call_is_given_up_at_any_moment(delay_s: float) -> None:
    pair = Pair()
    pair.on_invited = lambda invited: pair.callee.ring(invited.call, pair.wire.now)
    call = pair.call()
    pair.wire.run(delay_s)
    pair.caller.cancel(call, pair.wire.now, "SIP;cause=480")
    pair.wire.run(2.0)
    failed = pair.wire.take(A)[-1]
    assert isinstance(failed, Failed)
    assert (failed.status, failed.is_answered) == (487, False)
    assert pair.wire.take(B)[-1] == Cancelled(pair.incoming[0], "SIP;cause=480")
    assert pair.is_forgotten()


def test_answer_and_cancel_cross() -> None:
    pair = Pair()
    pair.on_invited = lambda invited: pair.callee.ring(invited.call, pair.wire.now)
    call = pair.call()
    pair.wire.run(1.0)
    pair.caller.cancel(call, pair.wire.now)
    pair.callee.answer(pair.incoming[0], OTHER_SDP, pair.wire.now)
    pair.wire.run(2.0)
    failed = pair.wire.take(A)[-1]
    assert isinstance(failed, Failed)
    assert failed.is_answered
    assert pair.types(B) == ["Invited", "Acked", "Ended"]
    assert pair.is_forgotten()


def test_nobody_at_home() -> None:
    pair = Pair()
    pair.wire.lose = lambda _passed: True
    call = pair.call()
    pair.wire.run(40.0)
    assert pair.wire.take(A) == [Unreachable(call, "no response")]


def test_storm_of_changes_from_both_sides_settles() -> None:
    pair = Pair()
    call = pair.talk()
    (incoming,) = pair.incoming
    accept = pair.wire.react[B]
    changes = 0

    def accept_too(event: Event) -> None:
        if isinstance(event, Reoffered):
            pair.caller.accept_reoffer(call, SDP, pair.wire.now)

    pair.wire.react[A] = accept_too
    assert accept is not None
    for number in range(30):
        for endpoint, handle in ((pair.caller, call), (pair.callee, incoming)):
            try:
                endpoint.reoffer(handle, SDP + b"a=x:%d\r\n" % number, pair.wire.now)
            except InvalidState:
                continue
            changes += 1
        pair.wire.run(0.05 * (number % 4))
    pair.wire.run(30.0)

    ends = (ReofferAccepted, ReofferRefused)
    told = [each for host in (A, B) for each in pair.wire.take(host) if isinstance(each, ends)]
    assert len(told) == changes
    assert any(isinstance(each, ReofferAccepted) for each in told)
    pair.caller.bye(call, pair.wire.now)
    assert pair.is_forgotten()


def test_transfer_succeeds() -> None:
    pair = Pair()
    call = pair.talk()
    pair.caller.refer(call, Uri.parse("sip:carol@10.0.0.3"), pair.wire.now)
    pair.wire.run(1.0)
    assert pair.wire.take(A) == [
        ReferAccepted(call),
        ReferProgress(call, 100, "Trying"),
        ReferProgress(call, 180, "Ringing"),
        ReferDone(call, 200, "OK"),
    ]


@pytest.mark.parametrize("seconds", [90, 1800])
def test_session_lives_by_its_refreshes_and_dies_without_them(seconds: int) -> None:
    pair = Pair(profile=Profile(A, session_expires_s=seconds))
    call = pair.talk()
    pair.wire.run(seconds * 5.0)
    assert pair.wire.take(A) == pair.wire.take(B) == []
    pair.wire.lose = lambda _passed: True
    pair.wire.run(seconds * 2.0)
    assert [type(each) for each in pair.wire.take(A)] == [Ended]
    assert pair.wire.take(B) == [Ended(pair.incoming[0], EndCause.SESSION_EXPIRED)]
    with pytest.raises(UnknownCall):
        pair.caller.bye(call, pair.wire.now)


def test_call_outlives_its_connection() -> None:
    pair = Pair(Transport.TCP)
    call = pair.talk()
    pair.wire.close(pair.wire.connections()[0])
    pair.callee.bye(pair.incoming[0], pair.wire.now)
    pair.wire.run(1.0)
    assert pair.wire.take(A) == [Ended(call, EndCause.BYE, "", headers_of(pair, "BYE"))]
    assert pair.wire.take(B) == [Released(pair.incoming[0], answered=True)]


def headers_of(pair: Pair, name: str) -> tuple[tuple[str, str], ...]:
    """Return the header fields of the last message of that name, as they arrived."""
    data = next(each.data for each in reversed(pair.wire.passed) if each.name == name)
    lines = data.decode().split("\r\n\r\n")[0].split("\r\n")[1:]
    fields = (line.partition(": ") for line in lines)
    return tuple((name, value) for name, _, value in fields)


def test_restarted_endpoint_hangs_up_what_it_finds() -> None:
    pair = Pair()
    call = pair.talk()
    snapshot = pair.caller.snapshot(call)
    assert snapshot is not None
    pair.caller = pair.wire.endpoint(A, seed=2)
    pair.caller.bye(pair.caller.restore(snapshot), pair.wire.now)
    pair.wire.run(1.0)
    assert pair.types(B) == ["Ended"]
    assert pair.wire.take(A) == [Released(call, answered=True)]


def test_calls_above_the_limit_are_not_placed() -> None:
    pair = Pair(profile=Profile(A, limits=Limits(calls=1)))
    call = pair.talk()
    with pytest.raises(Overloaded):
        pair.call()
    pair.caller.bye(call, pair.wire.now)
    pair.wire.run(1.0)
    pair.call()


def test_registration_is_no_business_of_a_bot() -> None:
    pair = Pair()
    registrar = pair.wire.destination(B)
    handle = pair.caller.register(Uri.parse(f"sip:101@{B}"), registrar, None, pair.wire.now)
    pair.wire.run(1.0)
    assert pair.types(A) == ["RegistrationFailed"]
    pair.caller.unregister(handle, pair.wire.now)
    pair.wire.run(1.0)
    assert pair.types(A) == ["Unregistered"]


def test_methods_ask_for_a_call_in_the_right_state() -> None:
    pair = Pair()
    pair.on_invited = lambda invited: None
    call = pair.call()
    pair.wire.run(1.0)
    (incoming,) = pair.incoming
    now = pair.wire.now
    with pytest.raises(InvalidState, match="did not come in"):
        pair.caller.ring(call, now)
    with pytest.raises(InvalidState, match="not ours"):
        pair.callee.cancel(incoming, now)
    acts: list[Callable[[Endpoint, CallHandle], object]] = [
        lambda endpoint, handle: endpoint.bye(handle, now),
        lambda endpoint, handle: endpoint.reoffer(handle, SDP, now),
        lambda endpoint, handle: endpoint.refuse_reoffer(handle, now),
        lambda endpoint, handle: endpoint.refuse_refer(handle, now),
        lambda endpoint, handle: endpoint.refer(handle, Uri.parse("sip:x"), now),
    ]
    for act in acts:
        with pytest.raises(InvalidState, match="ringing"):
            act(pair.caller, call)
        with pytest.raises(UnknownCall):
            act(pair.caller, incoming)
    assert pair.wire.take(A) == []
    assert Ringing(call, 180) != Ringing(call, 183)
