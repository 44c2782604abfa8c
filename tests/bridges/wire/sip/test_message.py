"""Messages: RFC 4475's torture, and what is left of a message that is cut or garbled."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.framing import MAX_HEAD_BYTES
from bridges.wire.sip.header import Headers
from bridges.wire.sip.message import CSeq, Request, Response, parse_message

TORTURE = Path(__file__).parents[3] / "vectors" / "sip" / "torture"
OPTIONS = (
    b"OPTIONS sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    b"From: <sip:alice@example.com>;tag=1\r\n"
    b"To: <sip:bob@example.com>\r\n"
    b"Call-ID: 1@example.com\r\n"
    b"CSeq: 1 OPTIONS\r\n"
)


def vector(name: str) -> bytes:
    return (TORTURE / f"{name}.dat").read_bytes()


def request(name: str) -> Request:
    message = parse_message(vector(name))
    assert isinstance(message, Request)
    message.check()
    return message


def response(name: str) -> Response:
    message = parse_message(vector(name))
    assert isinstance(message, Response)
    return message


def refusal(data: bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as raised:
        parse_message(data).check()
    return raised.value


def test_short_tortuous_invite() -> None:
    wsinv = request("wsinv")

    assert (wsinv.method, wsinv.uri.param("unknownparam")) == ("INVITE", "")
    assert (wsinv.to_address.tag, wsinv.from_address.tag) == ("1918181833n", "98asjd8")
    assert wsinv.from_address.display_name == 'J Rosenberg \\"'
    assert wsinv.headers.get("Max-Forwards") == "0068"
    assert (wsinv.cseq, wsinv.call_id) == (CSeq(9, "INVITE"), "wsinv.ndaksdj@192.0.2.1")
    assert [(via.transport, via.host, via.branch) for via in wsinv.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert wsinv.headers.get("Subject") == ""
    assert wsinv.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert wsinv.headers.values("UnknownHeaderWithUnusualValue") == [";;,,;;,;"]
    (contact,) = wsinv.contacts
    assert contact.display_name == 'Quoted string ""'
    assert contact.params == (("newparam", "newvalue"), ("secondparam", None), ("q", "0.33"))
    assert wsinv.sdp is not None
    assert len(wsinv.sdp) == 150


def test_wide_range_of_valid_characters() -> None:
    intmeth = request("intmeth")

    assert intmeth.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert intmeth.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert intmeth.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert intmeth.to_address.display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert intmeth.from_address.display_name == "token1~` token2'+_ token3*%!.-"
    assert intmeth.from_address.param("fromParam''~+*_!.-%".lower()) == '"работающий"'
    assert intmeth.from_address.tag == "_token~1'+`*%!-."
    assert intmeth.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert intmeth.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_escapes_mean_what_they_escape_and_stay_as_they_are_written() -> None:
    esc01, esc02, escnull = request("esc01"), request("esc02"), request("escnull")

    assert esc01.uri.user == "sips%3Auser%40example.com"
    assert (esc01.uri.name, esc01.uri.host) == ("sips:user@example.com", "example.net")
    assert esc01.to_address.uri.name == "user"
    assert esc01.contacts[0].uri.params == (("%6c%72", None), ("n%61me", "v%61lue%25%34%31"))
    assert (esc02.method, esc02.from_address.uri.name) == ("RE%47IST%45R", "resource")
    assert [each.uri.user for each in escnull.contacts] == ["%00", "%00%00"]


def test_message_after_the_message_is_ignored() -> None:
    dblreq = request("dblreq")
    assert (dblreq.method, dblreq.body) == ("REGISTER", b"")
    assert len(vector("dblreq")) > 500


def test_long_values_are_read() -> None:
    longreq = request("longreq")
    assert len(longreq.to_address.display_name) == 103
    assert len(longreq.vias) == 34


def test_odd_but_valid_parts() -> None:
    assert request("lwsdisp").from_address.display_name == "caller"
    assert request("semiuri").uri.user == "user;par=u%40example.net"
    assert [via.transport for via in request("transports").vias] == [
        *("UDP", "SCTP", "TLS", "UNKNOWN", "TCP"),
    ]
    assert len(request("mpart01").body) == 553
    assert request("cparam01").contacts[0].param("unknownparam") == ""
    assert request("cparam02").contacts[0].uri.param("unknownparam") == ""
    assert request("regescrt").contacts[0].uri.headers == "Route=%3Csip:sip.example.com%3E"
    assert request("zeromf").headers.get("Max-Forwards") == "0"
    assert request("inv2543").vias[0].branch == ""


def test_reasons_may_be_any_text_or_none() -> None:
    unreason, noreason = response("unreason"), response("noreason")

    unreason.check()
    assert unreason.reason == "= 2**3 * 5**2 но сто девяносто девять - простое"
    assert (noreason.status, noreason.reason) == (100, "")
    assert [via.host for via in response("bcast").vias] == ["192.0.2.198", "255.255.255.255"]
    assert not noreason.is_final
    assert unreason.is_final


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("badinv01", 400),
        ("badvers", 505),
        ("bigcode", 400),
        ("clerr", 400),
        ("baddn", 400),
        ("insuf", 400),
        ("ltgtruri", 400),
        ("lwsruri", 400),
        ("lwsstart", 400),
        ("mcl01", 400),
        ("mismatch01", 400),
        ("mismatch02", 400),
        ("multi01", 400),
        ("ncl", 400),
        ("novelsc", 416),
        ("quotbal", 400),
        ("regbadct", 400),
        ("scalar02", 400),
        ("scalarlg", 400),
        ("trws", 400),
        ("unkscm", 416),
        ("unksm2", 400),
    ],
)
def test_malformed_messages_are_refused(name: str, status: int) -> None:
    assert refusal(vector(name)).status == status


def test_message_is_written_as_it_was_read() -> None:
    response = OPTIONS.replace(b"OPTIONS sip:bob@example.com SIP/2.0", b"SIP/2.0 200 Gut \xc3\xbc")
    for head in (OPTIONS, response):
        data = head + b"Content-Length: 2\r\n\r\nab"
        message = parse_message(data)
        assert parse_message(message.serialize()).headers.readable()
        assert message.serialize() == data


def test_octets_that_are_no_text_are_echoed_as_they_came() -> None:
    data = OPTIONS + b"X-A: \xff\r\nContent-Length: 0\r\n\r\n"
    assert parse_message(data).serialize() == data


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"no colon", "colon"),
        (b"X-A: a\rb: c", "colon"),
        (b": a", "token"),
        (b"Max-Forwards: 256", "Max-Forwards"),
        (b"Max-Forwards: x", "Max-Forwards"),
        (b"Expires: 4294967296", "Expires"),
        (b"Content-Type: a\r\nc: b", "Content-Type"),
        (b"Contact: <sip:a", "closing"),
        (b"Record-Route: a", "scheme"),
        (b"Content-Length: 99999", "Content-Length"),
    ],
)
def test_bad_header_fields_are_refused(line: bytes, reason: str) -> None:
    assert reason in refusal(OPTIONS + line + b"\r\n\r\n").reason


def test_what_has_no_end_or_too_much_of_it_is_refused() -> None:
    assert "empty line" in refusal(OPTIONS).reason
    assert "empty line" in refusal(OPTIONS + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n").reason


def test_call_id_is_one_word() -> None:
    for value in ("", "a b"):
        with pytest.raises(ProtocolError, match="Call-ID"):
            _ = Request("OPTIONS", "sip:a@b", Headers([("Call-ID", value)])).call_id


def test_message_without_via_is_refused() -> None:
    with pytest.raises(ProtocolError, match="Via"):
        _ = Request("OPTIONS", "sip:a@b", Headers()).vias


def test_sdp_is_a_body_of_its_type() -> None:
    def with_body(body: bytes, content_type: str) -> bytes | None:
        return Request("INVITE", "sip:a@b", Headers([("c", content_type)]), body).sdp

    assert with_body(b"v=0", "Application/SDP ; charset=utf-8") == b"v=0"
    assert with_body(b"", "application/sdp") is None
    assert with_body(b"x", "text/plain") is None


@pytest.mark.parametrize("text", ["1", "x INVITE", "2147483648 INVITE", "1 IN VITE", ""])
def test_what_is_no_cseq_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="CSeq"):
        CSeq.parse(text)
    assert CSeq.parse("2147483647  ACK").serialize() == "2147483647 ACK"


@given(st.sampled_from(sorted(TORTURE.glob("*.dat"))), st.data())
def test_garbled_messages_are_read_or_refused(path: Path, data: st.DataObject) -> None:
    octets = path.read_bytes()
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(octets))] * 2)))
    garbled = octets[:start] + data.draw(st.binary(max_size=8)) + octets[end:]
    try:
        message = parse_message(garbled)
        message.check()
        message.serialize()
    except ProtocolError:
        pass
