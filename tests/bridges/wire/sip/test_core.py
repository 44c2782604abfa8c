"""What all parts share: words nobody guesses, Contact, and refusals that are counted."""

from __future__ import annotations

from bridges.wire.sip.core import Core
from bridges.wire.sip.event import RegistrationHandle, Unregistered
from bridges.wire.sip.flow import Flow, Transport
from bridges.wire.sip.message import Request, Response, parse_message
from bridges.wire.sip.profile import Profile
from tests.fakes.sip_peer import Peer, an_endpoint
from tests.fakes.sip_wire import randomness

FLOW = Flow(Transport.UDP, "192.0.2.9", 5060)


def a_core(user_agent: str = "Voicefleet") -> Core:
    ports = {Transport.UDP: 5060, Transport.TCP: 5070}
    return Core(Profile("2001:db8::1", ports, user_agent=user_agent), randomness(1))


def a_request() -> Request:
    return Peer(an_endpoint()).request("OPTIONS", 1)


def sent(core: Core) -> Response:
    message = parse_message(core.layer.outgoing.pop().data)
    assert isinstance(message, Response)
    return message


def test_tokens_differ() -> None:
    core = a_core()
    assert len({core.token() for _ in range(100)}) == 100


def test_contact_leads_to_us() -> None:
    core = a_core()
    assert core.contact(Transport.UDP, "bot 1") == "<sip:bot%201@[2001:db8::1]:5060>"
    assert core.contact(Transport.TCP, "b") == "<sip:b@[2001:db8::1]:5070;transport=tcp>"
    assert core.contact(Transport.TLS, "b") == "<sip:b@[2001:db8::1]:5061;transport=tls>"


def test_identity_may_be_withheld() -> None:
    assert a_core().identity("Server") == (("Server", "Voicefleet"),)
    assert a_core("").identity("Server") == ()


def test_refusals_are_counted_by_status() -> None:
    core = a_core()
    server = core.layer.receive_request(a_request(), FLOW, 0.0)
    assert server is not None

    core.refuse(server, 481, 0.0, (("X-A", "b"),), "Gone", "t")
    core.refuse_statelessly(a_request(), FLOW, 503)
    core.count_refusal(503)

    assert core.counters.refusals == {481: 1, 503: 2}
    assert sent(core).vias[0].params[-1] == ("received", "192.0.2.9")
    refused = sent(core)
    assert (refused.reason, refused.to_address.tag) == ("Gone", "t")
    assert refused.headers.get("Server") == "Voicefleet"


def test_what_is_told_waits_to_be_fetched() -> None:
    core = a_core()
    core.tell(Unregistered(RegistrationHandle("r")))
    assert core.events == [Unregistered(RegistrationHandle("r"))]
    assert dict(core.abilities())["Supported"] == "timer"
