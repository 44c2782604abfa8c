"""Calls nobody sent us: what a placed INVITE says, and what a restored call can do."""

from __future__ import annotations

import json

import pytest

from bridges.wire.sip.address import Address
from bridges.wire.sip.digest import Credentials
from bridges.wire.sip.endpoint import UnknownCall
from bridges.wire.sip.event import CallHandle, Released
from bridges.wire.sip.flow import Destination, Transport
from bridges.wire.sip.message import Request
from bridges.wire.sip.uri import Uri
from tests.fakes.sip_peer import HOST, Peer, an_endpoint, call_in, call_out
from tests.fakes.sip_wire import SDP

ALICE = Credentials("alice", "secret")
CHALLENGE = (("Proxy-Authenticate", 'Digest realm="p", nonce="1"'),)


def test_invite_says_what_was_ordered() -> None:
    peer = Peer(an_endpoint())
    call = peer.endpoint.invite(
        Uri.parse("sip:+911234@carrier.example.com?Subject=x"),
        Address(Uri.parse("sip:+919999@bots.example.com"), "The Bot"),
        SDP,
        Destination(Transport.TCP, HOST, 5070),
        peer.now,
        credentials=ALICE,
        headers=(("X-Call", "7"), ("P-Asserted-Identity", "<sip:+919999@bots>")),
        route=(Address.parse("<sip:proxy.example.com;lr>"),),
        contact_user="bot",
    )
    peer.collect()
    (send,) = peer.sends
    (invite,) = peer.take()

    assert isinstance(invite, Request)
    assert send.to == Destination(Transport.TCP, HOST, 5070)
    assert invite.uri_text == "sip:+911234@carrier.example.com"
    assert invite.headers.lines("Route") == ["<sip:proxy.example.com;lr>"]
    assert (invite.from_address.display_name, invite.from_address.tag) == ("The Bot", call)
    assert invite.to_address.tag == ""
    assert invite.contacts[0].uri.serialize() == "sip:bot@192.0.2.1:5060;transport=tcp"
    assert invite.headers.get("X-Call") == "7"
    assert invite.headers.get("Supported") == "timer"
    assert invite.headers.get("User-Agent") == "Voicefleet"
    assert invite.vias[0].transport == "TCP"
    assert invite.headers.get("Authorization") is None
    invite.check()


@pytest.mark.parametrize("placed", [True, False])
def test_restored_call_is_hung_up(placed: bool) -> None:
    peer = Peer(an_endpoint())
    call = call_out(peer) if placed else call_in(peer)
    snapshot = peer.endpoint.snapshot(call)
    assert snapshot is not None

    peer.endpoint = an_endpoint()
    assert peer.endpoint.restore(snapshot, ALICE) == call
    peer.endpoint.bye(call, peer.now)
    (bye,) = peer.take()
    assert isinstance(bye, Request)
    assert bye.cseq.number > 1000
    assert (bye.call_id, bye.to_address.tag) == (peer.call_id, "peer")
    peer.reply(bye, 407, CHALLENGE)
    (again,) = peer.take()
    assert "Proxy-Authorization" in again.headers
    peer.reply(again, 200)

    assert peer.take_told() == [Released(call, answered=True)]


def test_restored_call_may_be_hung_up_by_the_peer() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    snapshot = peer.endpoint.snapshot(call)
    assert snapshot is not None
    peer.endpoint = an_endpoint()
    peer.endpoint.restore(snapshot)
    peer.say("BYE", 2)
    assert peer.names() == ["200"]
    assert len(peer.take_told()) == 1


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps({"call": "x", "dialog": "{}"})])
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    endpoint = an_endpoint()
    with pytest.raises(ValueError, match="JSON"):
        endpoint.restore(text)
    with pytest.raises(UnknownCall):
        endpoint.snapshot(CallHandle("x"))
