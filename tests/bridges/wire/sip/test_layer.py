"""The transaction layer: matching, retransmissions, and what becomes of broken connections."""

from __future__ import annotations

from typing import NoReturn

from bridges.wire.sip.agenda import Agenda
from bridges.wire.sip.flow import Destination, Flow, Send, Target, Transport
from bridges.wire.sip.header import Headers
from bridges.wire.sip.layer import Key, Layer, ServerTransaction, Silence
from bridges.wire.sip.message import Request, Response, parse_message
from bridges.wire.sip.profile import Profile
from bridges.wire.sip.reply import respond
from tests.fakes.sip_peer import Peer, an_endpoint
from tests.fakes.sip_wire import randomness

UDP = Flow(Transport.UDP, "192.0.2.9", 5060)
TCP = Flow(Transport.TCP, "192.0.2.9", 40_000, 1)
THERE = Destination(Transport.TCP, "192.0.2.9", 5060)


class Bench:
    """A layer, and who owns what it sends."""

    def __init__(self) -> None:
        self.agenda = Agenda()
        self.layer = Layer(Profile("192.0.2.1"), self.agenda, randomness(3))
        self.replies: list[Response | Silence] = []
        self.ends: list[bool] = []

    def request(self, method: str, target: Target, fallback: Destination | None = None) -> Request:
        request = Peer(an_endpoint()).request(method, 1)
        request.headers.remove("Via")

        def receive(reply: Response | Silence, _now: float) -> None:
            self.replies.append(reply)

        return self.layer.request(request, target, 0.0, receive, fallback).request

    def receive(self, request: Request, flow: Flow = UDP) -> ServerTransaction | None:
        return self.layer.receive_request(parsed(request), flow, 0.0)

    def respond(self, server: ServerTransaction, status: int) -> None:
        server.on_end = lambda is_acked, _now: self.ends.append(is_acked)
        self.layer.respond(server, respond(server.request, status, tag="t"), 0.0)

    def sent(self) -> list[tuple[str, Target]]:
        sends, self.layer.outgoing = self.layer.outgoing, []
        return [(name_of(send), send.to) for send in sends]

    def let_pass(self, seconds: float) -> None:
        while (due := self.agenda.deadline()) is not None and due <= seconds:
            self.agenda.expire(due)


def parsed(request: Request) -> Request:
    message = parse_message(request.serialize())
    assert isinstance(message, Request)
    return message


def name_of(send: Send) -> str:
    message = parse_message(send.data)
    return message.method if isinstance(message, Request) else str(message.status)


def peers(method: str, branch: str = "z9hG4bK1", cseq: int = 1) -> Request:
    return Peer(an_endpoint()).request(method, cseq, branch=branch)


def test_response_finds_its_request_by_branch_and_method() -> None:
    bench = Bench()
    request = bench.request("OPTIONS", UDP)
    other = respond(request, 200)
    other.headers.set("CSeq", "1 BYE")

    assert bench.layer.receive_response(respond(request, 200), 0.0)
    assert not bench.layer.receive_response(other, 0.0)
    assert len(bench.replies) == 1


def test_request_is_sent_again_until_nobody_hopes() -> None:
    bench = Bench()
    bench.request("OPTIONS", UDP)
    bench.let_pass(100.0)
    assert bench.sent() == [("OPTIONS", UDP)] * 11
    assert bench.replies == [Silence("no response", is_fault=False)]
    assert bench.agenda.deadline() is None


def test_failure_of_an_invite_is_acknowledged_each_time() -> None:
    bench = Bench()
    request = bench.request("INVITE", UDP)
    for _ in range(2):
        bench.layer.receive_response(respond(request, 486, tag="t"), 0.0)

    assert bench.sent() == [("INVITE", UDP), ("ACK", UDP), ("ACK", UDP)]
    assert len(bench.replies) == 1


def test_each_success_of_an_invite_is_passed_on() -> None:
    bench = Bench()
    request = bench.request("INVITE", UDP)
    for tag in ("a", "a", "b"):
        bench.layer.receive_response(respond(request, 200, tag=tag), 0.0)
    assert len(bench.replies) == 3
    bench.layer.send_ack(Request("ACK", "sip:a@b", Headers([("CSeq", "1 ACK")])), UDP)
    assert bench.sent()[-1] == ("ACK", UDP)


def test_request_again_gets_the_response_again() -> None:
    bench = Bench()
    server = bench.receive(peers("OPTIONS"))
    assert server is not None
    assert bench.receive(peers("OPTIONS")) is None
    assert bench.sent() == []
    bench.respond(server, 200)
    assert bench.receive(peers("OPTIONS")) is None
    assert bench.sent() == [("200", UDP)] * 2
    assert bench.layer.is_known(parsed(peers("OPTIONS")))
    bench.let_pass(40.0)
    assert not bench.layer.is_known(parsed(peers("OPTIONS")))


def test_invite_whose_100_is_not_sent_yet_is_absorbed() -> None:
    bench = Bench()
    bench.receive(peers("INVITE"))
    assert bench.receive(peers("INVITE")) is None
    assert bench.sent() == []


def test_rejection_is_acknowledged() -> None:
    bench = Bench()
    server = bench.receive(peers("INVITE"))
    assert server is not None
    assert not server.is_answered
    bench.respond(server, 486)
    assert server.is_answered
    assert bench.layer.receive_ack(parsed(peers("ACK")), 0.0)
    assert bench.layer.receive_ack(parsed(peers("ACK")), 0.0)
    assert bench.ends == [True]


def test_rejection_nobody_acknowledges_is_told_as_such() -> None:
    bench = Bench()
    server = bench.receive(peers("INVITE"))
    assert server is not None
    bench.respond(server, 486)
    bench.let_pass(40.0)
    assert bench.ends == [False]
    server = bench.receive(peers("INVITE", "z9hG4bK2"))
    assert server is not None
    bench.layer.respond(server, respond(server.request, 486, tag="t"), 0.0)
    bench.let_pass(40.0)


def test_ack_of_a_success_is_not_the_layers() -> None:
    bench = Bench()
    server = bench.receive(peers("INVITE"))
    assert server is not None
    bench.respond(server, 200)
    assert not bench.layer.receive_ack(parsed(peers("ACK")), 0.0)
    assert not bench.layer.receive_ack(parsed(peers("ACK", "z9hG4bK9")), 0.0)


def test_cancel_finds_its_invite_with_and_without_the_cookie() -> None:
    for branch in ("z9hG4bK1", "old"):
        bench = Bench()
        server = bench.receive(peers("INVITE", branch))
        assert bench.layer.cancelled_by(parsed(peers("CANCEL", branch))) is server
        assert bench.layer.cancelled_by(parsed(peers("CANCEL", branch + "x"))) is None


def test_request_by_another_way_is_merged() -> None:
    bench = Bench()
    first, second = bench.receive(peers("INVITE")), bench.receive(peers("INVITE", "z9hG4bK2"))
    assert first is not None
    assert second is not None
    assert [bench.layer.is_merged(each) for each in (first, second)] == [False, True]
    bench.respond(second, 482)
    bench.respond(first, 200)
    bench.let_pass(40.0)
    assert bench.layer.servers == {}


def test_stateless_response_is_kept_nowhere() -> None:
    bench = Bench()
    request = parsed(peers("OPTIONS"))
    bench.layer.respond_statelessly(request, UDP, respond(request, 503))
    assert bench.sent() == [("503", UDP)]
    assert bench.layer.servers == {}


def test_broken_connection_has_requests_sent_elsewhere_once() -> None:
    bench = Bench()
    bench.request("BYE", TCP, THERE)

    bench.layer.fault(TCP, "closed", 1.0)
    assert bench.sent() == [("BYE", TCP), ("BYE", THERE)]
    assert bench.replies == []
    bench.layer.fault(THERE, "refused", 2.0)

    assert bench.replies == [Silence("refused", is_fault=True)]
    assert bench.agenda.deadline() is None


def test_broken_connection_does_not_end_an_invite_that_proceeds() -> None:
    bench = Bench()
    request = bench.request("INVITE", TCP, THERE)
    bench.layer.receive_response(respond(request, 100), 0.0)
    bench.layer.fault(TCP, "closed", 1.0)
    assert len(bench.replies) == 1
    assert bench.layer.receive_response(respond(request, 200, tag="t"), 2.0)


def test_response_goes_to_the_listening_port_once_its_connection_is_gone() -> None:
    bench = Bench()
    server, other = bench.receive(peers("INVITE"), TCP), bench.receive(peers("BYE", "z9hG4bK2"))
    assert server is not None
    assert other is not None
    bench.layer.fault(TCP, "closed", 1.0)
    bench.layer.fault(UDP, "unreachable", 1.0)
    bench.respond(server, 200)
    bench.respond(other, 200)
    assert bench.sent() == [("200", THERE), ("200", UDP)]


def test_unreachable_datagrams_look_through_no_requests() -> None:
    class Shut(dict[Key, ServerTransaction]):
        """So many that nobody can look at each for every datagram that comes back."""

        def values(self) -> NoReturn:
            raise AssertionError("looked at")

    bench = Bench()
    bench.receive(peers("INVITE"))
    bench.layer.servers = Shut(bench.layer.servers)
    bench.layer.fault(UDP, "unreachable", 1.0)
