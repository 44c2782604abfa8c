"""One call: what each request within it goes to, and every way it ends."""

from __future__ import annotations

import json

import pytest

from bridges.wire.close import InvalidState
from bridges.wire.sip.endpoint import UnknownCall
from bridges.wire.sip.event import Cancelled, EndCause, Ended, Invited, Released
from bridges.wire.sip.flow import Flow, Send, Transport
from bridges.wire.sip.message import Request, Response
from tests.fakes.sip_peer import Peer, an_endpoint, call_in, call_out, place
from tests.fakes.sip_wire import SDP


def invited() -> tuple[Peer, Invited]:
    peer = Peer(an_endpoint())
    peer.invite()
    (event,) = peer.take_told()
    assert isinstance(event, Invited)
    peer.take()
    return peer, event


def test_peer_hangs_up() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    bye = peer.say("BYE", 2, (("Reason", "Q.850;cause=16"), ("X-A", "b")))
    (ended,) = peer.take_told()
    assert isinstance(ended, Ended)
    assert (ended.call, ended.cause, ended.reason) == (call, EndCause.BYE, "Q.850;cause=16")
    assert ("X-A", "b") in ended.headers
    peer.send(bye)
    peer.say("BYE", 3)
    assert peer.names() == ["200", "200", "481"]
    with pytest.raises(UnknownCall):
        peer.endpoint.bye(call, peer.now)


def test_peer_hangs_up_on_another_connection_from_another_node() -> None:
    peer = Peer(an_endpoint(), Transport.TCP)
    call = call_in(peer)
    elsewhere = Flow(Transport.TCP, "203.0.113.5", 50_000, 99)
    peer.send(peer.request("BYE", 2), elsewhere)
    assert peer.sends[-1].to == elsewhere
    (ended,) = peer.take_told()
    assert isinstance(ended, Ended)
    assert ended.call == call


def test_we_hang_up() -> None:
    peer = Peer(an_endpoint())
    call = call_out(peer)
    peer.endpoint.bye(call, peer.now, (("Reason", "SIP;cause=200"),))
    (bye,) = peer.take()
    assert isinstance(bye, Request)
    assert bye.headers.get("Reason") == "SIP;cause=200"
    with pytest.raises(InvalidState, match="closing"):
        peer.endpoint.bye(call, peer.now)
    peer.reply(bye, 100)
    peer.reply(bye, 200)
    assert peer.take_told() == [Released(call, answered=True)]


@pytest.mark.parametrize(("status", "answered"), [(481, True), (500, True), (None, False)])
def test_our_goodbye_is_over_whatever_it_is_answered(status: int | None, answered: bool) -> None:
    peer = Peer(an_endpoint())
    call = call_out(peer)
    peer.endpoint.bye(call, peer.now)
    if status is None:
        peer.wait(33.0)
    else:
        peer.reply(peer.take()[0], status)
    assert peer.take_told() == [Released(call, answered=answered)]


def test_peer_whose_name_holds_what_no_line_may_is_hung_up_all_the_same() -> None:
    peer = Peer(an_endpoint())
    request = peer.request("INVITE", 1, (), SDP)
    request.headers.remove("From")
    request.headers.append_received("From", '"\\\0" <sip:alice@h>;tag=peer')
    peer.send(request)
    (event,) = peer.take_told()
    assert isinstance(event, Invited)
    peer.endpoint.answer(event.call, SDP, peer.now)
    peer.say("ACK", 1)
    peer.take()
    peer.endpoint.bye(event.call, peer.now)
    assert peer.names() == ["BYE"]


def test_goodbyes_that_cross() -> None:
    peer = Peer(an_endpoint())
    call = call_out(peer)
    peer.endpoint.bye(call, peer.now)
    (bye,) = peer.take()
    peer.say("BYE", 1)
    assert peer.names() == ["200"]
    assert peer.take_told() == []
    peer.reply(bye, 481)
    assert peer.take_told() == [Released(call, answered=True)]


def test_our_goodbye_waits_for_the_ack() -> None:
    peer, event = invited()
    peer.endpoint.answer(event.call, SDP, peer.now)
    peer.endpoint.bye(event.call, peer.now, (("X-A", "b"),))
    assert peer.names() == ["200"]
    peer.say("ACK", 1)
    bye = peer.take()[-1]
    assert bye.headers.get("X-A") == "b"
    peer.take_told()
    peer.reply(bye, 200)
    assert peer.take_told() == [Released(event.call, answered=True)]


def test_our_goodbye_goes_without_the_ack_in_the_end() -> None:
    peer, event = invited()
    peer.endpoint.answer(event.call, SDP, peer.now)
    peer.endpoint.bye(event.call, peer.now)
    peer.wait(32.5)
    bye = next(each for each in peer.take() if isinstance(each, Request))
    assert peer.take_told() == []
    peer.reply(bye, 200)
    assert peer.take_told() == [Released(event.call, answered=True)]


def test_peer_hangs_up_while_our_goodbye_waits() -> None:
    peer, event = invited()
    peer.endpoint.answer(event.call, SDP, peer.now)
    peer.endpoint.bye(event.call, peer.now)
    peer.say("BYE", 2)
    assert peer.take_told() == [Released(event.call, answered=True)]
    peer.take()
    peer.wait(40.0)
    assert peer.names() == []


def test_caller_may_end_a_ringing_call_by_bye() -> None:
    peer, event = invited()
    peer.endpoint.ring(event.call, peer.now)
    peer.take()
    peer.say("BYE", 2)
    assert sorted(peer.names()) == ["200", "487"]
    assert peer.take_told() == [Cancelled(event.call, "")]


def test_what_a_ringing_call_cannot_do_is_refused() -> None:
    peer, event = invited()
    peer.endpoint.ring(event.call, peer.now)
    peer.take()
    for cseq, method in enumerate(("OPTIONS", "INFO", "UPDATE", "REFER", "NOTIFY"), 2):
        peer.say(method, cseq)
    assert peer.names() == ["200", "481", "491", "481", "481"]
    with pytest.raises(InvalidState, match="ringing"):
        peer.endpoint.send_digit(event.call, "1", 160, peer.now)


def test_requests_within_the_call() -> None:
    peer = Peer(an_endpoint())
    call_in(peer)
    peer.say("OPTIONS", 2)
    (options,) = peer.take()
    assert isinstance(options, Response)
    assert "BYE" in options.headers.require("Allow")
    peer.say("CANCEL", 3)
    peer.say("OPTIONS", 2)
    peer.say("FOO", 4)
    peer.say("INFO", 5)
    peer.say("NOTIFY", 6)
    peer.say("REFER", 7)
    peer.say("UPDATE", 8)
    peer.say("ACK", 1)
    assert peer.names() == ["481", "500", "501", "200", "489", "400", "200"]
    assert peer.endpoint.counters.stray_acks == 1


def test_call_without_an_answer_has_no_snapshot() -> None:
    peer = Peer(an_endpoint())
    assert peer.endpoint.snapshot(place(peer)) is None


def test_snapshot_holds_what_a_goodbye_needs() -> None:
    peer = Peer(an_endpoint())
    call = call_out(peer)
    snapshot = peer.endpoint.snapshot(call)
    assert snapshot is not None
    assert json.loads(snapshot)["call"] == call
    again = Peer(an_endpoint())
    again.endpoint.restore(snapshot)
    again.endpoint.bye(call, again.now)
    (send,) = again.endpoint.outgoing()
    assert isinstance(send, Send)
    assert b"BYE sip:bob@192.0.2.9" in send.data


def test_lost_call_is_lost_once() -> None:
    peer = Peer(an_endpoint())
    call = call_out(peer)
    for digit in "12":
        peer.endpoint.send_digit(call, digit, 100, peer.now)
    peer.endpoint.reoffer(call, SDP, peer.now)
    digits, change = peer.take()
    peer.reply(digits, 481)
    peer.reply(change, 481)
    assert [type(each) for each in peer.take_told()].count(Ended) == 1
    bye = next(each for each in peer.take() if isinstance(each, Request) and each.method == "BYE")
    peer.reply(bye, 200)
    assert peer.take_told() == []


def test_dialog_lost_while_we_hang_up_is_not_told_twice() -> None:
    peer = Peer(an_endpoint())
    call = call_out(peer)
    peer.endpoint.send_digit(call, "1", 100, peer.now)
    (info,) = peer.take()
    peer.endpoint.bye(call, peer.now)
    (bye,) = peer.take()
    peer.reply(info, 481)
    peer.reply(bye, 481)
    assert [type(each).__name__ for each in peer.take_told()] == ["DigitRefused", "Released"]
