"""Calls that come in: rung, answered, refused, challenged, cancelled."""

from __future__ import annotations

import pytest

from bridges.wire.close import InvalidState
from bridges.wire.sip.digest import Credentials, Prover
from bridges.wire.sip.endpoint import UnknownCall
from bridges.wire.sip.event import Acked, CallHandle, Cancelled, Invited, Released
from bridges.wire.sip.message import Request, Response
from bridges.wire.sip.reply import credentials_of
from tests.fakes.sip_peer import Peer, an_endpoint
from tests.fakes.sip_wire import OTHER_SDP, SDP, randomness

ALICE = Credentials("alice", "secret")


def invited(
    headers: tuple[tuple[str, str], ...] = (), sdp: bytes = SDP
) -> tuple[Peer, CallHandle, Request]:
    peer = Peer(an_endpoint())
    request = peer.invite(headers, sdp)
    (event,) = peer.take_told()
    assert isinstance(event, Invited)
    assert peer.names() == ["100"]
    return peer, event.call, request


def responses(peer: Peer) -> list[Response]:
    return [each for each in peer.take() if isinstance(each, Response)]


def test_call_is_rung_and_answered() -> None:
    peer, call, _ = invited((("Allow", "UPDATE"), ("Record-Route", "<sip:p;lr>")))

    peer.endpoint.ring(call, peer.now)
    peer.endpoint.answer(call, OTHER_SDP, peer.now, (("X-A", "b"),))

    ringing, answer = responses(peer)
    assert (ringing.status, answer.status) == (180, 200)
    assert ringing.to_address.tag == answer.to_address.tag == call
    assert ringing.contacts[0].uri.serialize() == "sip:bot@192.0.2.1:5060"
    assert answer.sdp == OTHER_SDP
    assert answer.headers.get("X-A") == "b"
    assert "UPDATE" in answer.headers.require("Allow")
    assert answer.headers.lines("Record-Route") == ["<sip:p;lr>"]
    peer.say("ACK", 1, (), b"v=0 what nobody asked for")
    assert peer.take_told() == [Acked(call, None)]


def test_early_media_needs_an_offer() -> None:
    peer, call, _ = invited()
    peer.endpoint.progress(call, OTHER_SDP, peer.now)
    (progress,) = responses(peer)
    assert (progress.status, progress.sdp) == (183, OTHER_SDP)

    peer, call, _ = invited(sdp=b"")
    with pytest.raises(InvalidState, match="without an offer"):
        peer.endpoint.progress(call, OTHER_SDP, peer.now)


def test_offer_is_ours_where_the_invite_had_none() -> None:
    peer, call, _ = invited(sdp=b"")
    peer.endpoint.answer(call, SDP, peer.now)
    peer.say("ACK", 1, (), OTHER_SDP)
    assert peer.take_told() == [Acked(call, OTHER_SDP)]


@pytest.mark.parametrize("status", [302, 404, 486, 603])
def test_call_is_refused_until_the_refusal_is_acknowledged(status: int) -> None:
    peer, call, request = invited()
    contact = (("Contact", "<sip:other@pbx>"), ("Retry-After", "5"))
    peer.endpoint.reject(call, status, peer.now, "Not\nnow", contact)
    peer.wait(0.6)

    first, again = responses(peer)
    assert (first.status, first.reason) == (again.status, again.reason) == (status, "Not now")
    assert first.headers.get("Retry-After") == "5"
    assert first.contacts[0].uri.user == "other"
    assert peer.take_told() == []
    peer.send(peer.request("ACK", 1, branch=request.vias[0].branch))
    assert peer.take_told() == [Released(call, answered=True)]
    with pytest.raises(UnknownCall):
        peer.endpoint.ring(call, peer.now)


def test_refusal_nobody_acknowledges_is_over_too() -> None:
    peer, call, _ = invited()
    peer.endpoint.reject(call, 486, peer.now)
    peer.wait(33.0)
    assert peer.take_told() == [Released(call, answered=False)]


@pytest.mark.parametrize("status", [183, 200, 700])
def test_refusal_is_a_final_failure(status: int) -> None:
    peer, call, _ = invited()
    with pytest.raises(InvalidState, match="300 to 699"):
        peer.endpoint.reject(call, status, peer.now)


def test_caller_hangs_up_before_the_answer() -> None:
    peer, call, request = invited()
    reason = (("Reason", "SIP;cause=200"), ("Reason", 'Q.850;text="a, b"'))
    cancel = peer.request("CANCEL", 1, reason, branch=request.vias[0].branch, to_tag="")
    peer.send(cancel)

    assert peer.take_told() == [Cancelled(call, 'SIP;cause=200, Q.850;text="a, b"')]
    assert peer.names() == ["200", "487"]
    peer.send(cancel)
    assert peer.names() == ["200"]


def test_cancel_after_the_answer_changes_nothing() -> None:
    peer, call, request = invited()
    peer.endpoint.answer(call, SDP, peer.now)
    peer.take()
    peer.send(peer.request("CANCEL", 1, branch=request.vias[0].branch, to_tag=""))
    assert peer.names() == ["200"]
    assert peer.take_told() == []


def test_one_answer_is_all_there_is() -> None:
    peer, call, _ = invited()
    peer.endpoint.answer(call, SDP, peer.now)
    for act in (
        lambda: peer.endpoint.ring(call, peer.now),
        lambda: peer.endpoint.answer(call, SDP, peer.now),
        lambda: peer.endpoint.progress(call, SDP, peer.now),
        lambda: peer.endpoint.reject(call, 486, peer.now),
        lambda: peer.endpoint.authenticate(call, "pbx", ALICE, peer.now),
    ):
        with pytest.raises(InvalidState, match="had its answer"):
            act()


def test_caller_proves_who_it_is() -> None:
    peer, call, request = invited()
    assert not peer.endpoint.authenticate(call, "pbx", ALICE, peer.now)
    (challenge,) = responses(peer)
    assert challenge.status == 401
    peer.send(peer.request("ACK", 1, branch=request.vias[0].branch))
    assert peer.take_told() == [Released(call, answered=True)]

    prover = Prover(ALICE, randomness(1))
    assert prover.take(challenge)
    again = peer.invite(prover.headers("INVITE", "sip:bot@192.0.2.1"), cseq=2)
    (event,) = peer.take_told()
    assert isinstance(event, Invited)
    assert credentials_of(again)
    assert event.username == "alice"
    assert peer.endpoint.authenticate(event.call, "pbx", ALICE, peer.now)
    peer.wait(100.0)
    assert not peer.endpoint.authenticate(event.call, "pbx", ALICE, peer.now)
    stale = responses(peer)[-1]
    assert "stale=true" in stale.headers.lines("WWW-Authenticate")[0]
