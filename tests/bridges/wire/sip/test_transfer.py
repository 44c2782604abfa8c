"""REFER and its NOTIFYs, both ways and in every order."""

from __future__ import annotations

import pytest

from bridges.wire.close import InvalidState
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import (
    CallHandle,
    EndCause,
    Ended,
    Event,
    ReferAccepted,
    ReferDone,
    ReferProgress,
    Referred,
    ReferRefused,
    ReferSilent,
)
from bridges.wire.sip.message import Request, Response
from bridges.wire.sip.transfer import SIPFRAG, parse_sipfrag
from bridges.wire.sip.uri import Uri
from tests.fakes.sip_peer import Peer, an_endpoint, call_in

CAROL = Uri.parse("tel:+911234")
REFER_TO = (("Refer-To", "<sip:carol@pbx?Replaces=x>"), ("Referred-By", "<sip:alice@pbx>"))


def referring() -> tuple[Peer, CallHandle, Request]:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    peer.endpoint.refer(call, CAROL, peer.now, timeout_s=20.0, headers=(("X-A", "b"),))
    (request,) = peer.take()
    assert isinstance(request, Request)
    return peer, call, request


def notify(
    peer: Peer, cseq: int, body: bytes, state: str = "active", event: str = "refer"
) -> list[Event]:
    headers = (("Event", event), ("Subscription-State", state))
    peer.say("NOTIFY", cseq, headers, body, SIPFRAG)
    return peer.take_told()


def test_transfer_that_succeeds() -> None:
    peer, call, refer = referring()
    assert refer.headers.get("Refer-To") == "<tel:+911234>"
    assert refer.headers.get("Referred-By") == "<sip:bot@192.0.2.1>"
    assert refer.headers.get("X-A") == "b"

    peer.reply(refer, 100)
    peer.reply(refer, 202)

    assert peer.take_told() == [ReferAccepted(call)]
    assert notify(peer, 2, b"SIP/2.0 100 Trying\r\n") == [ReferProgress(call, 100, "Trying")]
    assert notify(peer, 3, b"SIP/2.0 200 OK", "terminated") == [ReferDone(call, 200, "OK")]
    assert notify(peer, 4, b"SIP/2.0 200 OK", "terminated") == []
    assert peer.names() == ["200"] * 3
    peer.wait(30.0)
    assert peer.take_told() == []
    peer.endpoint.refer(call, CAROL, peer.now)


def test_notify_before_the_202_says_that_it_is_accepted() -> None:
    peer, call, refer = referring()
    events = notify(peer, 2, b"SIP/2.0 180 Ringing", event=f"refer ; id={refer.cseq.number}")
    assert events == [ReferAccepted(call), ReferProgress(call, 180, "Ringing")]
    peer.reply(refer, 202)
    assert peer.take_told() == []


def test_transfer_that_fails() -> None:
    peer, call, refer = referring()
    peer.reply(refer, 202)
    peer.take_told()
    assert notify(peer, 2, b"SIP/2.0 486 Busy Here") == [ReferDone(call, 486, "Busy Here")]


def test_subscription_that_ends_without_a_final_status() -> None:
    peer, call, refer = referring()
    peer.reply(refer, 202)
    peer.take_told()
    told = notify(peer, 2, b"SIP/2.0 100", "terminated;reason=timeout")
    assert told == [ReferDone(call, 408, "")]


def test_transfer_that_is_refused() -> None:
    peer, call, refer = referring()
    peer.reply(refer, 405)
    assert peer.take_told() == [ReferRefused(call, 405, "Method Not Allowed")]
    peer.wait(30.0)
    assert peer.take_told() == []


def test_transfer_nobody_answers_ends_the_call() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    peer.endpoint.refer(call, CAROL, peer.now)
    peer.wait(33.0)
    assert peer.take_told() == [
        ReferRefused(call, 408, "no response"),
        Ended(call, EndCause.DIALOG_LOST),
    ]


def test_silence_after_the_202() -> None:
    peer, call, refer = referring()
    peer.reply(refer, 202)
    peer.wait(21.0)
    assert peer.take_told() == [ReferAccepted(call), ReferSilent(call)]
    assert notify(peer, 2, b"SIP/2.0 200 OK") == []


def test_refusal_after_patience_ran_out_or_the_call_ended_is_not_told() -> None:
    peer, call, refer = referring()
    peer.wait(21.0)
    assert peer.take_told() == [ReferSilent(call)]
    peer.reply(refer, 603)
    assert peer.take_told() == []
    peer, call, refer = referring()
    peer.say("BYE", 2)
    peer.take_told()
    peer.reply(refer, 202)
    peer.wait(30.0)
    assert peer.take_told() == []


def test_word_on_a_former_transfer_is_not_taken_for_the_present_one() -> None:
    peer, call, refer = referring()
    peer.reply(refer, 486)
    peer.endpoint.refer(call, CAROL, peer.now)
    peer.take()
    peer.take_told()
    assert notify(peer, 2, b"SIP/2.0 200 OK", event=f"refer;id={refer.cseq.number}") == []
    with pytest.raises(InvalidState, match="one transfer"):
        peer.endpoint.refer(call, CAROL, peer.now)


def test_notifies_that_mean_nothing_are_refused() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    notify(peer, 2, b"", event="presence")
    notify(peer, 3, b"SIP/2.0 200 OK")
    peer.endpoint.refer(call, CAROL, peer.now)
    peer.take()
    notify(peer, 4, b"what")
    assert peer.names() == ["400"]
    assert peer.endpoint.counters.refusals == {489: 1, 481: 1, 400: 1}


def test_peers_transfer_is_told_accepted_and_reported() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    peer.say("REFER", 2, REFER_TO)
    (referred,) = peer.take_told()
    assert isinstance(referred, Referred)
    assert (referred.target.uri.name, referred.referred_by) == ("carol", "<sip:alice@pbx>")
    assert referred.replaces

    peer.endpoint.accept_refer(call, peer.now)
    accepted, trying = peer.take()
    assert isinstance(accepted, Response)
    assert accepted.status == 202
    assert trying.headers.get("Subscription-State") == "active;expires=60"
    assert trying.headers.get("Event") == "refer;id=2"
    assert trying.body == b"SIP/2.0 100 Trying\r\n"
    peer.reply(trying, 481)  # a peer that does not want to know
    peer.endpoint.notify_refer(call, 180, peer.now)
    peer.endpoint.notify_refer(call, 503, peer.now, "No\r\nroute")
    ringing, last = peer.take()
    assert ringing.body == b"SIP/2.0 180 Ringing\r\n"
    assert last.headers.get("Content-Type") == SIPFRAG
    assert last.body == b"SIP/2.0 503 No route\r\n"
    assert last.headers.get("Subscription-State") == "terminated;reason=noresource"
    with pytest.raises(InvalidState, match="no transfer"):
        peer.endpoint.notify_refer(call, 200, peer.now)


def test_peers_transfer_is_refused() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    for headers in ((), (("Refer-To", "x"),)):
        peer.say("REFER", 2 + len(headers), headers)
    peer.say("REFER", 4, (("Refer-To", "sip:carol@pbx"),))
    peer.say("REFER", 5, (("Refer-To", "sip:dave@pbx"),))
    peer.endpoint.refuse_refer(call, peer.now)
    assert peer.names() == ["400", "400", "491", "603"]
    with pytest.raises(InvalidState, match="transfers nothing"):
        peer.endpoint.accept_refer(call, peer.now)


def test_peers_transfer_ends_with_its_call() -> None:
    peer = Peer(an_endpoint())
    call_in(peer)
    peer.say("REFER", 2, REFER_TO)
    peer.say("BYE", 3)
    assert sorted(peer.names()) == ["200", "487"]


def test_sipfrag_is_a_status_line() -> None:
    assert parse_sipfrag(b"SIP/2.0 200 OK\r\nTo: x") == (200, "OK")
    assert parse_sipfrag(b"sip/2.0 183") == (183, "")
    assert parse_sipfrag(b"SIP/2.0 500 \xff\x00") == (500, "\ufffd")
    for body in (b"", b"SIP/2.0 700 x", b"INVITE sip:a SIP/2.0"):
        with pytest.raises(ProtocolError):
            parse_sipfrag(body)
