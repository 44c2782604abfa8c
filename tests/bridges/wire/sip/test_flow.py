"""Transports and where octets go."""

from __future__ import annotations

from bridges.wire.sip.flow import Destination, Flow, Send, Transport


def test_transports_know_their_nature() -> None:
    assert [each.is_reliable for each in Transport] == [False, True, True]
    assert [each.default_port for each in Transport] == [5060, 5060, 5061]


def test_send_tells_a_flow_from_a_destination() -> None:
    flow = Flow(Transport.TCP, "192.0.2.1", 40_000, 7)
    destination = Destination(Transport.TCP, "192.0.2.1", 40_000)
    assert Send(b"", flow) != Send(b"", destination)
    assert destination.server_name == ""
