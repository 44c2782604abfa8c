"""To which call a message goes, and how RFC 4475's torture and floods are answered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.sip.endpoint import Endpoint, Overloaded
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import Ended, Invited
from bridges.wire.sip.flow import Flow, Transport
from bridges.wire.sip.message import Request, Response, parse_message
from bridges.wire.sip.profile import ALLOW, Limits, Profile
from tests.fakes.sip_peer import HOST, Peer, an_endpoint, call_in, call_out, place
from tests.fakes.sip_wire import SDP

TORTURE = Path(__file__).parents[3] / "vectors" / "sip" / "torture"
UDP = Flow(Transport.UDP, "198.51.100.7", 5060)
TCP = Flow(Transport.TCP, "198.51.100.7", 40_000, 1)

VERDICTS: dict[str, tuple[int, ...]] = {
    # 3.1.1 valid messages
    "wsinv": (481,),  # its To has a tag, and of that dialog we know nothing
    "intmeth": (501,),
    "esc01": (100,),
    "escnull": (405,),
    "esc02": (501,),
    "lwsdisp": (200,),
    "longreq": (100,),
    "dblreq": (405,),
    "semiuri": (200,),
    "transports": (200,),
    "mpart01": (405,),
    "unreason": (),
    "noreason": (),
    # 3.1.2 invalid messages
    "badinv01": (),  # its Via cannot be read: there is no way back
    "clerr": (400,),
    "ncl": (400,),
    "scalar02": (400,),
    "scalarlg": (),
    "quotbal": (400,),
    "ltgtruri": (400,),
    "lwsruri": (400,),
    "lwsstart": (400,),
    "trws": (),  # a start line that ends in white space is not SIP's
    "escruri": (100,),  # headers of a Request-URI are ignored
    "baddate": (100,),  # Date means nothing to us
    "regbadct": (400,),
    "badaspec": (200,),  # white space within brackets harms nobody
    "baddn": (400,),
    "badvers": (505,),
    "mismatch01": (400,),
    "mismatch02": (400,),
    "bigcode": (),
    # 3.2 transaction layer
    "badbranch": (200,),
    # 3.3 application layer
    "insuf": (400,),
    "unkscm": (416,),
    "novelsc": (416,),
    "unksm2": (400,),
    "bext01": (420,),
    "invut": (415,),
    "regaut01": (405,),
    "multi01": (400,),
    "mcl01": (400,),
    "bcast": (),
    "zeromf": (200,),  # "an endpoint should process the request"
    "cparam01": (405,),
    "cparam02": (405,),
    "regescrt": (405,),
    "sdp01": (406,),
    # 3.4 backward compatibility
    "inv2543": (100,),
}


def statuses(endpoint: Endpoint) -> list[int]:
    sent = [parse_message(send.data) for send in endpoint.outgoing()]
    return [each.status for each in sent if isinstance(each, Response)]


def test_all_of_rfc_4475_is_listed() -> None:
    assert {path.stem for path in TORTURE.glob("*.dat")} == VERDICTS.keys()
    assert len(VERDICTS) == 49


@pytest.mark.parametrize("name", VERDICTS)
def test_torture_is_answered(name: str) -> None:
    endpoint = an_endpoint()
    endpoint.receive((TORTURE / f"{name}.dat").read_bytes(), UDP, 0.0)
    assert statuses(endpoint) == list(VERDICTS[name])


@pytest.mark.parametrize("name", ["clerr", "quotbal", "trws", "scalarlg", "insuf"])
def test_malformed_message_ends_its_stream(name: str) -> None:
    endpoint = an_endpoint()
    with pytest.raises(ProtocolError):
        endpoint.receive((TORTURE / f"{name}.dat").read_bytes(), TCP, 0.0)
    assert statuses(endpoint) == list(VERDICTS[name])
    assert endpoint.counters.malformed == 1


@pytest.mark.parametrize("name", ["badvers", "unkscm", "bext01"])
def test_message_that_is_only_beyond_us_does_not(name: str) -> None:
    endpoint = an_endpoint()
    assert endpoint.receive((TORTURE / f"{name}.dat").read_bytes(), TCP, 0.0) == []
    assert statuses(endpoint) == list(VERDICTS[name])


@given(st.sampled_from(sorted(TORTURE.glob("*.dat"))), st.data())
def test_garbled_datagrams_do_no_harm(path: Path, data: st.DataObject) -> None:
    octets = path.read_bytes()
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(octets))] * 2)))
    garbled = octets[:start] + data.draw(st.binary(max_size=8)) + octets[end:]
    endpoint = an_endpoint()
    endpoint.receive(garbled, UDP, 0.0)
    endpoint.outgoing()
    endpoint.expire(1_000.0)


@given(st.binary())
def test_any_octets_do_no_harm(data: bytes) -> None:
    endpoint = an_endpoint()
    assert endpoint.receive(data, UDP, 0.0) == []
    assert endpoint.outgoing() == []


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0\0\0\0"])
def test_keep_alives_are_no_malformed_messages(data: bytes) -> None:
    endpoint = an_endpoint()
    assert endpoint.receive(data, UDP, 0.0) == []
    assert endpoint.counters.malformed == 0


def test_invite_is_told_with_its_facts() -> None:
    peer = Peer(an_endpoint())
    peer.invite((("X-Campaign", "june"), ("Authorization", 'Digest username="alice"')))

    (event,) = peer.take_told()

    assert isinstance(event, Invited)
    assert (event.request_uri.name, event.caller.display_name) == ("bot", "Alice")
    assert (event.call_id, event.username, event.sdp) == ("call-1", "alice", SDP)
    assert event.header("x-campaign") == "june"
    assert event.flow == peer.flow
    assert peer.names() == ["100"]


def test_response_goes_where_the_request_came_from() -> None:
    peer = Peer(an_endpoint())
    nat = Flow(Transport.UDP, "8.8.8.8", 1024)
    peer.send(peer.request("OPTIONS", 1), nat)
    assert [send.to for send in peer.sends] == [nat]
    (response,) = peer.take()
    assert response.vias[0].params[-2:] == (("rport", "1024"), ("received", "8.8.8.8"))


def test_options_are_answered_with_abilities() -> None:
    peer = Peer(an_endpoint())
    peer.say("OPTIONS", 1)
    (response,) = peer.take()
    assert response.headers.get("Allow") == ALLOW
    assert response.headers.get("Server") == "Voicefleet"
    assert response.to_address.tag


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("REFER", (), "403"),
        ("NOTIFY", (("Event", "message-summary"),), "489"),
        ("NOTIFY", (("Event", "refer"),), "481"),
        ("BYE", (), "481"),
        ("INFO", (), "481"),
        ("UPDATE", (), "481"),
        ("SUBSCRIBE", (), "489"),
        ("MESSAGE", (), "405"),
        ("CANCEL", (), "481"),
    ],
)
def test_requests_of_no_call(
    method: str, headers: tuple[tuple[str, str], ...], status: str
) -> None:
    peer = Peer(an_endpoint())
    peer.say(method, 1, headers)
    assert peer.names() == [status]


def test_request_of_a_dialog_nobody_knows() -> None:
    peer = Peer(an_endpoint())
    call_in(peer)
    peer.tag = "somebody-else"
    peer.say("BYE", 2)
    assert peer.names() == ["481"]
    assert peer.endpoint.counters.unknown_dialogs == 1


def test_request_of_a_call_that_is_not_answered() -> None:
    peer = Peer(an_endpoint())
    place(peer)
    peer.take()
    peer.say("BYE", 1)
    assert peer.names() == ["481"]


def test_cancel_finds_its_invite() -> None:
    peer = Peer(an_endpoint())
    invite = peer.invite()
    peer.take()
    for _ in range(2):
        branch = invite.vias[0].branch
        peer.send(peer.request("CANCEL", 1, branch=branch, to_tag=""))
    assert peer.names() == ["200", "487", "200"]


def test_cancel_that_comes_too_late_is_answered_all_the_same() -> None:
    peer = Peer(an_endpoint())
    invite = peer.invite()
    (invited,) = peer.take_told()
    assert isinstance(invited, Invited)
    peer.endpoint.answer(invited.call, SDP, peer.now)
    peer.take()
    peer.send(peer.request("CANCEL", 1, branch=invite.vias[0].branch, to_tag=""))
    assert peer.names() == ["200"]
    assert peer.take_told() == []


def test_call_that_failed_is_forgotten() -> None:
    peer = Peer(an_endpoint(Profile("192.0.2.1", limits=Limits(calls=1))))
    place(peer)
    peer.reply(peer.take()[-1], 486)
    place(peer)


def test_invite_by_two_ways_is_taken_once() -> None:
    peer = Peer(an_endpoint())
    peer.invite()
    first = peer.invite()
    peer.send(first)
    assert peer.names() == ["100", "482", "482"]
    assert len(peer.take_told()) == 1


def test_invite_again_is_answered_again_and_told_once() -> None:
    peer = Peer(an_endpoint())
    request = peer.invite()
    for _ in range(3):
        peer.send(request)
    assert peer.names() == ["100"] * 4
    assert len(peer.take_told()) == 1
    assert peer.endpoint.counters.retransmissions == 3


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((("Supported", "timer"), ("Session-Expires", "60")), "422"),
        ((("Session-Expires", "soon"),), "400"),
        ((("Require", '"'),), "400"),
    ],
)
def test_invite_that_cannot_be_taken(headers: tuple[tuple[str, str], ...], status: str) -> None:
    peer = Peer(an_endpoint())
    peer.invite(headers)
    assert peer.names() == [status]
    assert peer.take_told() == []


def test_invite_with_two_contacts_is_refused() -> None:
    peer = Peer(an_endpoint())
    peer.invite((("Contact", "<sip:other@pbx>"),))
    assert peer.names() == ["400"]


def test_stray_responses_and_acks_are_counted_and_dropped() -> None:
    peer = Peer(an_endpoint())
    peer.reply(peer.request("INVITE", 1), 200)
    peer.say("ACK", 1)
    ack = peer.request("ACK", 1)
    ack.headers.remove("CSeq")
    peer.send(ack)
    assert peer.names() == []
    counters = peer.endpoint.counters
    assert (counters.stray_responses, counters.stray_acks, counters.malformed) == (1, 1, 1)


def test_calls_above_the_limit_are_refused_and_not_kept() -> None:
    profile = Profile("192.0.2.1", limits=Limits(calls=1))
    peer = Peer(an_endpoint(profile))
    call_in(peer)
    peer.call_id = "call-2"
    peer.invite()
    (response,) = peer.take()
    assert isinstance(response, Response)
    assert (response.status, response.headers.get("Retry-After")) == (503, "5")
    assert peer.endpoint.counters.overloads == 1
    with pytest.raises(Overloaded):
        place(peer)


def test_refused_calls_that_nobody_acknowledges_take_no_place() -> None:
    peer = Peer(an_endpoint(Profile("192.0.2.1", limits=Limits(calls=1))))
    for number in range(3):
        peer.call_id = f"call-{number}"
        peer.invite()
        (event,) = peer.take_told()
        assert isinstance(event, Invited)
        peer.endpoint.reject(event.call, 486, peer.now)
        assert peer.names() == ["100", "486"]


def test_flood_grows_no_memory_and_calls_can_still_end() -> None:
    limits = Limits(server_transactions=3)
    peer = Peer(an_endpoint(replace(Profile("192.0.2.1"), limits=limits)))
    call_in(peer)
    for number in range(50):
        peer.say("OPTIONS", 2 + number)
    assert peer.endpoint.counters.overloads == 48
    peer.say("BYE", 100)
    assert peer.names()[-1] == "200"
    assert isinstance(peer.take_told()[-1], Ended)
    peer.wait(40.0)
    peer.say("OPTIONS", 200)
    assert peer.names()[-1] == "481"


def test_broken_connection_does_not_break_its_calls() -> None:
    peer = Peer(an_endpoint(), Transport.TCP)
    incoming = call_in(peer)
    outgoing = call_out(peer)
    other = Flow(Transport.TCP, "192.0.2.200", 40_000, 77)

    assert peer.endpoint.transport_failed(other, "closed", peer.now) == []
    assert peer.endpoint.transport_failed(peer.flow, "closed", peer.now) == []
    peer.endpoint.bye(incoming, peer.now)
    peer.endpoint.bye(outgoing, peer.now)
    peer.collect()

    targets = {send.to for send in peer.sends}
    assert all(not isinstance(target, Flow) for target in targets)
    assert {target.host for target in targets} == {HOST}
    assert all(isinstance(each, Request) for each in peer.take())
