"""Dialogs: who is who, which way requests go, and what survives a restart."""

from __future__ import annotations

import json

import pytest

from bridges.wire.sip.dialog import MAX_ROUTES, RESTORED_CSEQ_GAP, Dialog, destination_of
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.flow import Destination, Flow, Transport
from bridges.wire.sip.header import Headers
from bridges.wire.sip.message import MAX_CSEQ, Request, Response
from bridges.wire.sip.reply import respond
from bridges.wire.sip.uri import Uri

UDP = Flow(Transport.UDP, "198.51.100.7", 5070)
TCP = Flow(Transport.TCP, "198.51.100.7", 40_000, 3)
ROUTES = "<sip:p1.example.com;lr>, <sip:p2.example.com:5070;lr;transport=tcp>"


def an_invite(contact: str = "<sip:alice@198.51.100.7>", routes: str = "") -> Request:
    fields = [
        ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1"),
        ("From", '"A" <sip:alice@a>;tag=1'),
        ("To", "<sip:bot@b>"),
        ("Call-ID", "c"),
        ("CSeq", "7 INVITE"),
        ("Contact", contact),
    ]
    if routes:
        fields.append(("Record-Route", routes))
    return Request("INVITE", "sip:bot@b", Headers(fields))


def a_server(
    contact: str = "<sip:alice@198.51.100.7>", routes: str = "", flow: Flow = UDP
) -> Dialog:
    return Dialog.of_server(an_invite(contact, routes), "2", "<sip:bot@b>", 1, flow)


def a_client(response: Response) -> Dialog:
    return Dialog.of_client(an_invite(), response, "<sip:alice@a>", Transport.UDP, UDP)


def test_callees_dialog_follows_the_record_route() -> None:
    dialog = a_server(routes=ROUTES)

    bye = dialog.request("BYE", (("X-A", "b"),))

    assert (bye.uri_text, bye.cseq.serialize()) == ("sip:alice@198.51.100.7", "2 BYE")
    assert bye.headers.lines("Route") == [
        "<sip:p1.example.com;lr>",
        "<sip:p2.example.com:5070;lr;transport=tcp>",
    ]
    assert (bye.from_address.tag, bye.to_address.tag) == ("2", "1")
    assert bye.headers.get("X-A") == "b"
    assert "Contact" not in bye.headers
    assert dialog.next_hop() == (Destination(Transport.UDP, "p1.example.com", 5060), None)


def test_callers_dialog_reverses_the_record_route() -> None:
    fields = (("Contact", "<sip:bob@10.0.0.1;transport=tls>"), ("Record-Route", ROUTES))
    dialog = a_client(respond(an_invite(), 200, tag="2", headers=fields))

    ack = dialog.ack(7, (("Proxy-Authorization", "Digest x"),))

    # Not the Contact's transport: the path is the Record-Route's.
    assert dialog.next_hop()[0] == Destination(Transport.TCP, "p2.example.com", 5070)
    assert ack.uri_text == "sip:bob@10.0.0.1;transport=tls"
    assert ack.headers.lines("Route")[0].startswith("<sip:p2.example.com")
    assert ack.cseq.serialize() == "7 ACK"
    assert ack.headers.get("Proxy-Authorization") == "Digest x"


def test_answer_without_contact_leaves_the_invites_target() -> None:
    assert a_client(respond(an_invite(), 200, tag="2")).remote_target.host == "b"
    tel = respond(an_invite(), 200, tag="2", headers=(("Contact", "<tel:+1>"),))
    assert a_client(tel).remote_target.host == "b"


@pytest.mark.parametrize("contact", ["<sip:a@b>, <sip:c@d>", "<tel:+1201>"])
def test_caller_must_name_one_contact(contact: str) -> None:
    with pytest.raises(ProtocolError, match="Contact"):
        a_server(contact)


def test_route_that_no_request_could_name_is_refused() -> None:
    routes = [f"<sip:p{number}.example.com;lr>" for number in range(MAX_ROUTES + 1)]
    assert len(a_server(routes=", ".join(routes[1:])).route_set) == MAX_ROUTES
    with pytest.raises(ProtocolError, match="Record-Route"):
        a_server(routes=", ".join(routes))


def test_caller_of_rfc_2543_is_where_its_from_says() -> None:
    assert a_server("*").remote_target.serialize() == "sip:alice@a"


def test_strict_router_finds_itself_in_the_request_uri() -> None:
    dialog = a_server(routes="<sip:strict.example.com>, <sip:p2;lr>")
    request = dialog.request("UPDATE", (), b"x", "a/b")

    assert request.uri_text == "sip:strict.example.com"
    assert request.headers.lines("Route") == ["<sip:p2;lr>", "<sip:alice@198.51.100.7>"]
    assert request.headers.get("Content-Type") == "a/b"
    assert request.headers.get("Contact") == "<sip:bot@b>"
    assert "Contact" not in dialog.request("INFO").headers


def test_requests_come_in_order() -> None:
    dialog = a_server()

    def accepts(number: int) -> bool:
        return dialog.accepts(Request("BYE", "sip:b", Headers([("CSeq", f"{number} BYE")])))

    assert [accepts(number) for number in (7, 9, 8, 9, 10)] == [False, True, False, False, True]
    dialog.remote_cseq = None
    assert accepts(1)


def test_target_is_refreshed_by_one_contact() -> None:
    dialog = a_server()
    for contact in ("<sip:a@b>, <sip:c@d>", "<tel:+1>"):
        dialog.refresh_target(an_invite(contact))
    assert dialog.remote_target.host == "198.51.100.7"
    dialog.refresh_target(an_invite("<sip:alice@new.example.com>"))
    assert dialog.remote_target.host == "new.example.com"


@pytest.mark.parametrize(
    ("contact", "routes", "flow", "expected"),
    [
        # The connection that is there is used, whatever port the peer listens on.
        ("<sip:a@198.51.100.7:5060;transport=tcp>", "", TCP, TCP),
        ("<sip:a@other.example.com;transport=tcp>", "", TCP, "other.example.com"),
        ("<sip:a@198.51.100.7>", "", UDP, "198.51.100.7"),
        # A private address that is seen as a public one is behind a NAT.
        ("<sip:a@192.168.1.9:5062>", "", Flow(Transport.UDP, "8.8.8.8", 5070), "8.8.8.8"),
        ("<sip:a@192.168.1.9>", "", Flow(Transport.UDP, "192.168.1.1", 5070), "192.168.1.9"),
        ("<sip:a@192.168.1.9>", "<sip:p;lr>", Flow(Transport.UDP, "8.8.8.8", 1), "p"),
        ("<sip:a@192.168.1.9>", "<sip:198.51.100.7;lr;transport=tcp>", TCP, TCP),
    ],
)
def test_next_hop(contact: str, routes: str, flow: Flow, expected: Flow | str) -> None:
    target, _ = a_server(contact, routes, flow).next_hop()
    if isinstance(expected, Flow):
        assert target == expected
    else:
        assert target.host == expected


def test_connection_that_is_gone_has_a_fallback() -> None:
    dialog = a_server("<sip:a@198.51.100.7:5090;transport=tcp>", "", TCP)
    there = Destination(Transport.TCP, "198.51.100.7", 5090)
    assert dialog.next_hop() == (TCP, there)
    dialog.flow = None
    assert dialog.next_hop() == (there, None)


def test_number_without_a_contact_is_answered_where_it_was_heard() -> None:
    dialog = a_server()
    dialog.remote_target = Uri.parse("tel:+1201")
    assert dialog.next_hop() == (UDP, None)


@pytest.mark.parametrize(
    ("uri", "transport", "host", "port"),
    [
        ("sip:a@b", Transport.UDP, "b", 5060),
        ("sip:a@b:5070;transport=TCP", Transport.TCP, "b", 5070),
        ("sip:a@b;transport=tls", Transport.TLS, "b", 5061),
        ("sips:a@b;transport=tcp", Transport.TLS, "b", 5061),
        ("sip:a@b;transport=sctp", Transport.UDP, "b", 5060),
        ("sip:a@[2001:db8::1]", Transport.UDP, "2001:db8::1", 5060),
        ("sip:a@b;maddr=192.0.2.5", Transport.UDP, "192.0.2.5", 5060),
    ],
)
def test_destination_of_a_uri(uri: str, transport: Transport, host: str, port: int) -> None:
    expected = Destination(transport, host, port)
    assert destination_of(Uri.parse(uri), Transport.UDP) == expected


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_dialog_survives_a_restart_but_for_its_connection(flow: Flow) -> None:
    dialog = a_server(routes=ROUTES, flow=flow)
    again = Dialog.from_json(dialog.to_json())

    assert again.local_cseq == dialog.local_cseq + RESTORED_CSEQ_GAP
    assert again.flow == (flow if flow is UDP else None)
    again.local_cseq, again.flow = dialog.local_cseq, dialog.flow
    assert again == dialog


def test_dialog_without_a_flow_or_a_remote_number_survives_too() -> None:
    dialog = a_server()
    dialog.flow, dialog.remote_cseq, dialog.local_cseq = None, None, MAX_CSEQ
    again = Dialog.from_json(dialog.to_json())
    assert again == dialog


@pytest.mark.parametrize(
    "change",
    [
        {"call_id": None, "local": 5},
        {"peer": []},
        {"peer": ["x", "h", 1]},
        {"local_cseq": "x"},
        {"route_set": ["<"]},
        {"remote_target": "http://x"},
        {"transport": "carrier pigeon"},
    ],
)
def test_what_is_no_dialog_is_refused(change: dict[str, object]) -> None:
    fields = {**json.loads(a_server().to_json()), **change}
    with pytest.raises(ValueError, match="a dialog as JSON"):
        Dialog.from_json(json.dumps(fields))
    for text in ("", "[]", "{}", "null"):
        with pytest.raises(ValueError, match="a dialog as JSON"):
            Dialog.from_json(text)
