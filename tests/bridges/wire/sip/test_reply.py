"""Responses, ACK and CANCEL carry over from the request what they must."""

from __future__ import annotations

import pytest

from bridges.wire.sip import reply
from bridges.wire.sip.header import Headers
from bridges.wire.sip.message import Request

FIELDS = [
    ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b"),
    ("Route", "<sip:p1;lr>"),
    ("Route", "<sip:p2;lr>"),
    ("Record-Route", "<sip:p1;lr>"),
    ("From", "<sip:a@a>;tag=1"),
    ("To", "<sip:b@b>"),
    ("Call-ID", "c"),
    ("CSeq", "7 INVITE"),
    ("Authorization", "Digest a"),
    ("Proxy-Authorization", "Digest b"),
]


def an_invite(**changes: str) -> Request:
    fields = [(name, changes.get(name.replace("-", "_"), value)) for name, value in FIELDS]
    return Request("INVITE", "sip:b@b", Headers(fields))


def test_response_goes_back_through_all_vias() -> None:
    response = reply.respond(an_invite(), 180, tag="2", headers=(("X-A", "b"),))

    assert [via.serialize() for via in response.vias] == [
        "SIP/2.0/UDP a;branch=z9hG4bK1",
        "SIP/2.0/UDP b",
    ]
    assert (response.status, response.reason) == (180, "Ringing")
    assert response.to_address.tag == "2"
    assert response.headers.lines("Record-Route") == ["<sip:p1;lr>"]
    assert response.headers.get("X-A") == "b"


@pytest.mark.parametrize(("status", "has_route"), [(100, False), (200, True), (404, False)])
def test_record_route_is_echoed_where_it_makes_a_dialog(status: int, has_route: bool) -> None:
    assert ("Record-Route" in reply.respond(an_invite(), status).headers) is has_route


def test_tag_is_kept_if_there_is_one() -> None:
    request = an_invite(To="<sip:b@b>;tag=old")
    assert reply.respond(request, 200, tag="new").to_address.tag == "old"


def test_broken_request_is_answered_with_what_there_is() -> None:
    request = Request("INVITE", "sip:b@b", Headers([("Via", "SIP/2.0/UDP a"), ("To", '"x')]))
    response = reply.respond(request, 400, tag="2")
    assert response.headers.lines("To") == ['"x']
    assert "From" not in response.headers


def test_body_and_reason_are_ours() -> None:
    response = reply.respond(an_invite(), 299, reason="Fine\r\nX: y", body=b"v=0")

    assert response.reason == "Fine X: y"
    assert response.sdp == b"v=0"
    assert reply.respond(an_invite(), 299).reason == ""


def test_ack_of_a_failure_goes_where_the_invite_went() -> None:
    invite = an_invite()
    ack = reply.ack_of_failure(invite, reply.respond(invite, 486, tag="2"))

    assert (ack.method, ack.uri_text, ack.cseq.serialize()) == ("ACK", "sip:b@b", "7 ACK")
    assert [via.branch for via in ack.vias] == ["z9hG4bK1"]
    assert ack.headers.lines("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert ack.to_address.tag == "2"


def test_cancel_is_the_invites_but_for_its_method() -> None:
    cancel = reply.cancel_of(an_invite(), "SIP;cause=480")

    assert (cancel.method, cancel.uri_text, cancel.cseq.serialize()) == (
        "CANCEL",
        "sip:b@b",
        "7 CANCEL",
    )
    assert cancel.headers.lines("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert cancel.headers.get("Reason") == "SIP;cause=480"
    assert "Reason" not in reply.cancel_of(an_invite(), "").headers


def test_proofs_of_a_request() -> None:
    assert reply.credentials_of(an_invite()) == (
        ("Authorization", "Digest a"),
        ("Proxy-Authorization", "Digest b"),
    )
