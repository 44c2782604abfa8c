"""Via: parsed in all its spellings, and where the response goes."""

from __future__ import annotations

import pytest

from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.flow import Destination, Flow, Transport
from bridges.wire.sip.via import Via

UDP = Flow(Transport.UDP, "198.51.100.7", 12345)
TCP = Flow(Transport.TCP, "198.51.100.7", 12345, 3)


def test_via_with_white_space_everywhere() -> None:
    via = Via.parse("SIP  /   2.0\t/udp   192.0.2.2 : 5070 ; branch = z9hG4bK1 ;rport")

    assert (via.transport, via.host, via.port) == ("UDP", "192.0.2.2", 5070)
    assert (via.branch, via.sent_by) == ("z9hG4bK1", "192.0.2.2:5070")
    assert via.serialize() == "SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bK1;rport"


@pytest.mark.parametrize(
    ("text", "has_cookie"),
    [("z9hG4bK1", True), ("Z9HG4BKx", True), ("z9hG4bK", False), ("390skdjuw", False), ("", False)],
)
def test_only_a_branch_after_the_cookie_tells_transactions_apart(
    text: str, has_cookie: bool
) -> None:
    params = f";branch={text}" if text else ""
    assert Via.parse(f"SIP/2.0/UDP h{params}").has_cookie is has_cookie


@pytest.mark.parametrize("text", ["", "SIP/2.0/UDP", "SIP/2.0/U<P h", "SIP/2.0 h", "SIP/2.0/A h;"])
def test_what_is_no_via_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        Via.parse(text)


def test_protocol_of_the_future_is_echoed() -> None:
    assert Via.parse("SIP/7.0/UDP h").serialize() == "SIP/7.0/UDP h"


def test_where_it_really_came_from_is_noted() -> None:
    asked = Via.parse("SIP/2.0/UDP h:5060;branch=b;rport").received_on(UDP)
    assert asked.params[1:] == (("rport", "12345"), ("received", "198.51.100.7"))

    plain = Via.parse("SIP/2.0/UDP h").received_on(UDP)
    assert plain.params == (("received", "198.51.100.7"),)

    honest = Via.parse("SIP/2.0/UDP 198.51.100.7")
    assert honest.received_on(UDP) == honest
    assert honest.sent_by == "198.51.100.7"


def test_response_goes_back_the_way_the_request_came() -> None:
    asked, plain = Via.parse("SIP/2.0/UDP h:5070;rport"), Via.parse("SIP/2.0/UDP h:5070")

    assert asked.return_address(UDP) == UDP
    assert plain.return_address(UDP) == Flow(Transport.UDP, "198.51.100.7", 5070)
    assert Via.parse("SIP/2.0/UDP h").return_address(UDP) == Flow(
        Transport.UDP, "198.51.100.7", 5060
    )
    assert plain.return_address(TCP) == TCP


def test_response_whose_connection_is_gone_goes_to_the_port_that_listens() -> None:
    there = Destination(Transport.TCP, "198.51.100.7", 5060)
    assert Via.parse("SIP/2.0/TCP h").fallback(TCP) == there
    assert Via.parse("SIP/2.0/TCP h:5070").fallback(TCP).port == 5070
