"""A call's dialog: requests are sent in it, challenged ones again, and a lost one ends the call."""

from __future__ import annotations

import pytest

from bridges.wire.close import InvalidState
from bridges.wire.sip.core import Core
from bridges.wire.sip.digest import Credentials, Prover
from bridges.wire.sip.event import CallHandle, DigitRefused, EndCause, Ended, Released
from bridges.wire.sip.layer import Silence
from bridges.wire.sip.line import MOST_ATTEMPTS, Line, status_of
from bridges.wire.sip.message import Request, Response
from bridges.wire.sip.profile import Profile
from bridges.wire.sip.reply import respond
from tests.fakes.sip_peer import Peer, an_endpoint, call_in, call_out
from tests.fakes.sip_wire import OTHER_SDP, SDP, randomness

ALICE = Credentials("alice", "secret")
CHALLENGE = (("Proxy-Authenticate", 'Digest realm="p", nonce="1", qop="auth"'),)


def stale(number: int) -> tuple[tuple[str, str]]:
    return (("Proxy-Authenticate", f'Digest realm="p", nonce="{number}", stale=true'),)


def heard(peer: Peer) -> Request:
    (message,) = peer.take()
    assert isinstance(message, Request)
    return message


def test_challenge_within_a_call_is_answered_and_remembered() -> None:
    peer = Peer(an_endpoint())
    call = call_out(peer, credentials=ALICE)
    peer.endpoint.send_digit(call, "1", 160, peer.now)
    peer.collect()

    first = heard(peer)
    peer.reply(first, 407, CHALLENGE)
    again = heard(peer)
    peer.reply(again, 200)
    peer.endpoint.bye(call, peer.now)
    peer.collect()
    bye = heard(peer)

    assert again.cseq.number == first.cseq.number + 1
    assert "nc=00000001" in again.headers.require("Proxy-Authorization")
    assert "nc=00000002" in bye.headers.require("Proxy-Authorization")
    assert peer.take_told() == []


def test_challenges_without_end_are_given_up() -> None:
    peer = Peer(an_endpoint())
    call = call_out(peer, credentials=ALICE)
    peer.endpoint.send_digit(call, "1", 160, peer.now)
    peer.collect()

    for number in range(MOST_ATTEMPTS):
        assert peer.take_told() == []
        peer.reply(heard(peer), 407, stale(number))

    assert peer.take_told() == [DigitRefused(call, "1", 407)]


def test_challenge_of_who_has_no_credentials_is_a_refusal() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    peer.endpoint.send_digit(call, "1", 160, peer.now)
    peer.collect()
    peer.reply(heard(peer), 407, CHALLENGE)
    assert peer.take_told() == [DigitRefused(call, "1", 407)]


def test_dialog_follows_the_path_the_peer_was_last_heard_on() -> None:
    line = Line(Core(Profile("192.0.2.1"), randomness(1)), CallHandle("c"))
    with pytest.raises(InvalidState, match="not before"):
        line.require_dialog()
    line.on_lost(EndCause.BYE, 0.0)


@pytest.mark.parametrize("status", [408, 481])
def test_peer_that_has_forgotten_the_dialog_ends_the_call(status: int) -> None:
    peer = Peer(an_endpoint())
    call = call_out(peer)
    peer.endpoint.send_digit(call, "1", 160, peer.now)
    peer.collect()
    peer.reply(heard(peer), status)

    assert peer.take_told() == [
        DigitRefused(call, "1", status),
        Ended(call, EndCause.DIALOG_LOST),
    ]
    assert heard(peer).method == "BYE"


def test_peer_that_answers_nothing_ends_the_call() -> None:
    peer = Peer(an_endpoint())
    call = call_out(peer)
    peer.endpoint.send_digit(call, "1", 160, peer.now)
    peer.wait(33.0)
    assert peer.take_told()[-1] == Ended(call, EndCause.DIALOG_LOST)


def test_our_own_200_to_a_change_is_acknowledged_and_names_our_contact() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    peer.endpoint.reoffer(call, OTHER_SDP, peer.now)
    peer.reply(heard(peer), 200, sdp=SDP)
    assert heard(peer).method == "ACK"
    peer.say("UPDATE", 2)
    (updated,) = peer.take()
    assert updated.contacts[0].uri.serialize() == "sip:bot@192.0.2.1:5060"
    peer.say("INFO", 3)
    peer.say("INFO", 4, (), b"x", "text/plain")
    assert [each.contacts for each in peer.take()] == [(), ()]
    assert peer.endpoint.counters.refusals == {415: 1}


def test_nothing_is_told_of_a_call_that_is_over() -> None:
    core = Core(Profile("192.0.2.1"), randomness(1))
    line = Line(core, CallHandle("c"))
    line.is_over = True
    line.tell(Released(line.handle, answered=True))
    assert core.events == []


def test_provers_absence_adds_nothing() -> None:
    core = Core(Profile("192.0.2.1"), randomness(1))
    request = Peer(an_endpoint()).request("BYE", 1)
    Line(core, CallHandle("c")).prove(request)
    assert "Authorization" not in request.headers
    prover = Prover(ALICE, randomness(1))
    assert prover.take(respond(request, 401, headers=(("WWW-Authenticate", CHALLENGE[0][1]),)))
    Line(core, CallHandle("c"), prover).prove(request)
    assert "Authorization" in request.headers


def test_status_of_nothing_is_a_timeout() -> None:
    request = Peer(an_endpoint()).request("BYE", 1)
    response: Response = respond(request, 486)
    assert status_of(response) == (486, "Busy Here")
    assert status_of(Silence("no response", is_fault=False)) == (408, "no response")
