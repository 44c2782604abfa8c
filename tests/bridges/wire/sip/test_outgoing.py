"""Calls that go out: answered, refused, given up, forked, challenged, or to nobody."""

from __future__ import annotations

import pytest

from bridges.wire.close import InvalidState
from bridges.wire.sip.digest import Credentials
from bridges.wire.sip.event import (
    Answered,
    CallHandle,
    EarlyMedia,
    Event,
    Failed,
    Ringing,
    Unreachable,
)
from bridges.wire.sip.flow import Destination, Transport
from bridges.wire.sip.header import Headers
from bridges.wire.sip.message import Request
from bridges.wire.sip.outgoing import MOST_FORKS
from tests.fakes.sip_peer import HOST, Peer, an_endpoint, place
from tests.fakes.sip_wire import OTHER_SDP, SDP

ALICE = Credentials("alice", "secret")
CHALLENGE = (("WWW-Authenticate", 'Digest realm="p", nonce="1", qop="auth"'),)


def placed(
    credentials: Credentials | None = None, transport: Transport = Transport.UDP
) -> tuple[Peer, CallHandle, Request]:
    peer = Peer(an_endpoint(), transport)
    call = place(peer, credentials)
    return peer, call, heard(peer, "INVITE")


def heard(peer: Peer, method: str) -> Request:
    (message,) = peer.take()
    assert isinstance(message, Request)
    assert message.method == method
    return message


def failure(events: list[Event]) -> tuple[int, str, bool]:
    (event,) = events
    assert isinstance(event, Failed)
    return event.status, event.reason, event.is_answered


def test_call_rings_and_is_answered() -> None:
    peer, call, invite = placed()
    assert invite.sdp == SDP
    assert invite.contacts[0].uri.serialize() == "sip:voicefleet@192.0.2.1:5060"
    assert invite.headers.get("Session-Expires") == "1800"

    peer.reply(invite, 100, tag="")
    assert peer.take_told() == []
    peer.reply(invite, 180)
    peer.reply(invite, 183, sdp=OTHER_SDP)
    peer.reply(invite, 180, sdp=OTHER_SDP)
    assert peer.take_told() == [
        Ringing(call, 180),
        EarlyMedia(call, 183, OTHER_SDP),
        Ringing(call, 180),
        EarlyMedia(call, 180, OTHER_SDP),
    ]
    peer.reply(invite, 200, (("X-A", "b"),), OTHER_SDP)
    (answered,) = peer.take_told()
    assert isinstance(answered, Answered)
    assert answered.sdp == OTHER_SDP
    assert ("X-A", "b") in answered.headers
    ack = heard(peer, "ACK")
    assert (ack.uri_text, ack.cseq.number, ack.to_address.tag) == (f"sip:bob@{HOST}", 1, "peer")


def test_answer_again_is_acknowledged_again() -> None:
    peer, _, invite = placed()
    for _ in range(3):
        peer.reply(invite, 200, sdp=OTHER_SDP)
    assert peer.names() == ["ACK"] * 3
    assert len(peer.take_told()) == 1
    peer.reply(invite, 180)
    assert peer.take_told() == []


def test_second_fork_is_answered_and_hung_up() -> None:
    peer, _, invite = placed()
    peer.reply(invite, 200, sdp=OTHER_SDP)
    peer.take()
    peer.take_told()
    peer.reply(invite, 200, sdp=OTHER_SDP, tag="fork")

    ack, bye = peer.take()
    assert isinstance(bye, Request)
    assert (ack.to_address.tag, bye.to_address.tag) == ("fork", "fork")
    assert bye.method == "BYE"
    peer.reply(bye, 200)
    assert peer.take_told() == []


def test_forks_without_end_are_ignored() -> None:
    peer, _, invite = placed()
    for number in range(2 * MOST_FORKS):
        peer.reply(invite, 183, sdp=OTHER_SDP, tag=f"fork-{number}")
    for number in range(2 * MOST_FORKS):
        peer.reply(invite, 200, sdp=OTHER_SDP, tag=f"fork-{number}")
    assert peer.names().count("BYE") == MOST_FORKS - 1


def test_answer_may_leave_out_what_its_183_had() -> None:
    peer, _, invite = placed()
    peer.reply(invite, 183, sdp=OTHER_SDP)
    peer.reply(invite, 200)
    answered = peer.take_told()[-1]
    assert isinstance(answered, Answered)
    assert answered.sdp == OTHER_SDP


def test_answer_without_sdp_is_no_call() -> None:
    peer, _, invite = placed()
    peer.reply(invite, 200)
    assert failure(peer.take_told()) == (488, "no SDP in the answer", True)
    assert peer.names() == ["ACK", "BYE"]
    peer.reply(invite, 200)
    assert peer.names() == ["ACK", "BYE"]


@pytest.mark.parametrize("status", [302, 404, 408, 480, 486, 503, 603])
def test_refusal_is_told_and_acknowledged(status: int) -> None:
    peer, call, invite = placed()
    peer.reply(invite, status, (("Retry-After", "5"),))
    (failed,) = peer.take_told()
    assert isinstance(failed, Failed)
    assert (failed.call, failed.status) == (call, status)
    assert ("Retry-After", "5") in failed.headers
    ack = heard(peer, "ACK")
    assert ack.vias[0].branch == invite.vias[0].branch


def test_nobody_there_is_not_a_refusal() -> None:
    peer, call, _ = placed()
    peer.wait(33.0)
    assert peer.take_told() == [Unreachable(call, "no response")]


def test_no_way_there_is_told_at_once() -> None:
    peer, call, _ = placed(transport=Transport.TCP)
    target = Destination(Transport.TCP, HOST, 5060)
    assert peer.endpoint.transport_failed(target, "connection refused", peer.now) == [
        Unreachable(call, "connection refused")
    ]


def test_call_is_given_up_once_the_peer_has_been_heard() -> None:
    peer, call, invite = placed()
    peer.endpoint.cancel(call, peer.now, "SIP;cause=480")
    peer.collect()
    assert peer.names() == []
    peer.reply(invite, 180)
    cancel = heard(peer, "CANCEL")
    assert cancel.vias[0].branch == invite.vias[0].branch
    assert cancel.headers.get("Reason") == "SIP;cause=480"
    peer.reply(invite, 180)
    peer.reply(cancel, 200)
    peer.reply(invite, 487)
    assert failure(peer.take_told()) == (487, "Request Terminated", False)
    assert peer.names() == ["ACK"]


def test_ringing_call_is_given_up_at_once() -> None:
    peer, call, invite = placed()
    peer.reply(invite, 180)
    peer.endpoint.cancel(call, peer.now)
    assert peer.names() == ["CANCEL"]
    with pytest.raises(InvalidState):
        peer.endpoint.cancel(call, peer.now)
    with pytest.raises(InvalidState):
        peer.endpoint.bye(call, peer.now)


def test_answer_that_crosses_cancel_is_hung_up() -> None:
    peer, call, invite = placed()
    peer.reply(invite, 180)
    peer.endpoint.cancel(call, peer.now)
    peer.take()
    peer.take_told()
    peer.reply(invite, 200, sdp=OTHER_SDP)
    assert peer.names() == ["ACK", "BYE"]
    assert failure(peer.take_told()) == (487, "answered while it was given up", True)


def test_peer_that_ignores_cancel_is_given_up() -> None:
    peer, call, invite = placed()
    peer.reply(invite, 180)
    peer.endpoint.cancel(call, peer.now)
    peer.take_told()
    peer.wait(33.0)
    assert failure(peer.take_told()) == (487, "no final response to CANCEL", False)
    peer.take()
    peer.reply(invite, 180)
    peer.reply(invite, 200, sdp=OTHER_SDP)
    assert peer.names() == ["ACK", "BYE"]
    assert peer.take_told() == []


def test_refusal_of_a_call_long_given_up_is_only_acknowledged() -> None:
    peer, call, invite = placed()
    peer.reply(invite, 180)
    peer.endpoint.cancel(call, peer.now)
    peer.wait(33.0)
    peer.take()
    peer.take_told()
    peer.reply(invite, 486)
    assert peer.names() == ["ACK"]
    assert peer.take_told() == []


def test_call_to_nobody_is_given_up() -> None:
    peer, call, _ = placed()
    peer.endpoint.cancel(call, peer.now)
    peer.wait(33.0)
    assert failure(peer.take_told()) == (487, "no response", False)


def test_challenge_is_answered_with_a_new_invite() -> None:
    peer, _, first = placed(ALICE)
    peer.reply(first, 401, CHALLENGE)
    ack, second = peer.take()
    assert isinstance(ack, Request)
    assert isinstance(second, Request)
    assert (ack.method, second.cseq.number, second.call_id) == ("ACK", 2, first.call_id)
    assert second.vias[0].branch != first.vias[0].branch
    assert second.from_address == first.from_address
    proof = second.headers.require("Authorization")

    peer.reply(second, 200, sdp=OTHER_SDP)

    ack = heard(peer, "ACK")
    assert ack.headers.get("Authorization") == proof
    assert ack.cseq.number == 2


def test_wrong_credentials_are_refused() -> None:
    peer, _, first = placed(ALICE)
    peer.reply(first, 401, CHALLENGE)
    peer.reply(peer.take()[-1], 401, CHALLENGE)
    assert failure(peer.take_told())[0] == 401


def test_challenge_without_credentials_is_a_refusal() -> None:
    peer, _, invite = placed()
    peer.reply(invite, 407, CHALLENGE)
    assert failure(peer.take_told())[0] == 407


def test_challenge_of_a_call_given_up_is_not_answered() -> None:
    peer, call, invite = placed(ALICE)
    peer.endpoint.cancel(call, peer.now)
    peer.reply(invite, 401, CHALLENGE)
    assert failure(peer.take_told())[0] == 401


def test_challenges_without_end_are_given_up() -> None:
    peer, _, invite = placed(ALICE)
    for number in range(3):
        stale = f'Digest realm="p", nonce="{number}", stale=true'
        peer.reply(invite, 401, (("WWW-Authenticate", stale),))
        invite = next(each for each in reversed(peer.take()) if isinstance(each, Request))
    assert failure(peer.take_told())[0] == 401


def test_longer_session_is_asked_for_where_the_peer_insists() -> None:
    peer, _, invite = placed()
    peer.reply(invite, 422, (("Min-SE", "3600"),))
    again = peer.take()[-1]
    assert again.headers.get("Session-Expires") == "3600"
    assert again.headers.get("Min-SE") == "3600"
    peer.reply(again, 422, (("Min-SE", "what"),))
    assert failure(peer.take_told())[0] == 422


def test_what_the_driver_adds_is_sent() -> None:
    peer = Peer(an_endpoint())
    headers = Headers([("X-A", "b")])
    place(peer)
    assert "X-A" not in peer.take()[0].headers
    assert "X-A" in headers


def test_late_silence_of_an_answered_call_is_not_told() -> None:
    peer, _, invite = placed()
    peer.reply(invite, 200, sdp=OTHER_SDP)
    peer.take_told()
    peer.wait(100.0)
    assert peer.take_told() == []
