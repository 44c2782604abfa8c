"""Being an extension: registered, refreshed, refused, and gone."""

from __future__ import annotations

import pytest

from bridges.wire.sip.digest import Credentials
from bridges.wire.sip.endpoint import Endpoint
from bridges.wire.sip.event import (
    Event,
    Registered,
    RegistrationFailed,
    RegistrationHandle,
    Unregistered,
)
from bridges.wire.sip.flow import Destination, Flow, Transport
from bridges.wire.sip.message import Request
from bridges.wire.sip.registration import FIRST_RETRY_S, MOST_RETRY_S
from bridges.wire.sip.uri import Uri
from tests.fakes.sip_peer import HOST, Peer, an_endpoint

Fields = tuple[tuple[str, str], ...]
PBX = Destination(Transport.UDP, HOST, 5060)
ALICE = Credentials("101", "secret")
CHALLENGE = (("WWW-Authenticate", 'Digest realm="pbx", nonce="1", qop="auth"'),)
OURS = "<sip:101@192.0.2.1:5060>"


def registering(credentials: Credentials | None = None) -> tuple[Peer, RegistrationHandle, Request]:
    peer = Peer(an_endpoint())
    handle = peer.endpoint.register(
        Uri.parse("sip:101@pbx.example.com"), PBX, credentials, peer.now
    )
    return peer, handle, heard(peer)


def heard(peer: Peer) -> Request:
    message = peer.take()[-1]
    assert isinstance(message, Request)
    assert message.method == "REGISTER"
    return message


def failure(events: list[Event]) -> RegistrationFailed:
    (event,) = events
    assert isinstance(event, RegistrationFailed)
    return event


def test_registration_says_who_and_where() -> None:
    _, _, register = registering()

    assert register.uri_text == "sip:pbx.example.com"
    assert register.to_address.uri.serialize() == "sip:101@pbx.example.com"
    assert register.headers.lines("Contact") == [OURS]
    assert register.headers.get("Expires") == "3600"


@pytest.mark.parametrize(
    ("headers", "expires_s", "refresh_after_s"),
    [
        ((("Contact", f"<sip:x@y>;expires=9, {OURS};expires=600"), ("Expires", "70")), 600, 540),
        ((("Contact", f"{OURS};expires=soon"), ("Expires", "100")), 100, 50),
        ((), 3600, 3540),
        ((("Expires", "1"),), 20, 10),
    ],
)
def test_registration_is_refreshed_in_time(
    headers: Fields, expires_s: int, refresh_after_s: float
) -> None:
    peer, handle, register = registering()
    peer.reply(register, 100)
    response = peer.reply(register, 200)
    assert response.status == 200
    peer.take_told()
    peer, handle, register = registering()
    reply(peer, register, 200, headers)

    assert peer.take_told() == [Registered(handle, expires_s)]
    peer.wait(refresh_after_s - 1)
    assert peer.take() == []
    peer.wait(1.5)
    again = heard(peer)
    assert again.cseq.number == register.cseq.number + 1
    assert again.call_id == register.call_id


def reply(peer: Peer, request: Request, status: int, headers: Fields = ()) -> None:
    """Answer without the Contact that `Peer.reply` adds."""
    response = peer.reply_to(request, status, headers)
    peer.send(response)


def test_challenge_is_answered_and_remembered() -> None:
    peer, handle, first = registering(ALICE)
    reply(peer, first, 401, CHALLENGE)
    second = heard(peer)
    assert 'username="101"' in second.headers.require("Authorization")
    reply(peer, second, 200)
    assert peer.take_told() == [Registered(handle, 3600)]
    peer.wait(3541.0)
    assert "nc=00000002" in heard(peer).headers.require("Authorization")


@pytest.mark.parametrize("credentials", [None, ALICE])
def test_wrong_credentials_are_not_tried_for_long(credentials: Credentials | None) -> None:
    peer, handle, register = registering(credentials)
    reply(peer, register, 401, CHALLENGE)
    if credentials:
        reply(peer, heard(peer), 401, CHALLENGE)
    failed = failure(peer.take_told())
    assert (failed.registration, failed.status) == (handle, 401)
    assert failed.retry_in_s > MOST_RETRY_S / 2


def test_registrar_that_is_down_is_asked_less_and_less() -> None:
    peer, _, register = registering()
    waits = []
    for _ in range(8):
        reply(peer, register, 500)
        failed = failure(peer.take_told())
        waits.append(failed.retry_in_s)
        peer.wait(failed.retry_in_s + 0.1)
        register = heard(peer)
    assert 0.75 * FIRST_RETRY_S <= waits[0] <= FIRST_RETRY_S
    assert waits[1] > waits[0]
    assert waits[-1] <= MOST_RETRY_S
    assert waits[-1] >= 0.75 * MOST_RETRY_S


def test_registrar_says_itself_when_to_come_again() -> None:
    peer, _, register = registering()
    reply(peer, register, 503, (("Retry-After", "300 (restarting);duration=5"),))
    assert failure(peer.take_told()).retry_in_s >= 225
    reply(peer, register, 503)


def test_registrar_that_does_not_answer() -> None:
    peer, _, _ = registering()
    peer.wait(33.0)
    assert failure(peer.take_told()).status == 408


def test_registrar_there_is_no_way_to() -> None:
    peer = Peer(an_endpoint())
    there = Destination(Transport.TCP, HOST, 5060)
    peer.endpoint.register(Uri.parse("sip:101@pbx"), there, None, peer.now)
    events = peer.endpoint.transport_failed(there, "refused", peer.now)
    assert failure(events).status == 503
    assert failure(events).reason == "refused"


def test_longer_registration_is_taken_where_the_registrar_insists() -> None:
    peer, handle, register = registering()
    reply(peer, register, 423, (("Min-Expires", "7200"),))
    again = heard(peer)
    assert again.headers.get("Expires") == "7200"
    reply(peer, again, 423, (("Min-Expires", "60"),))
    assert failure(peer.take_told()).status == 423
    peer, handle, register = registering()
    for seconds in (7200, 7300, 7400):
        reply(peer, register, 423, (("Min-Expires", str(seconds)),))
        register = heard(peer) if seconds < 7400 else register
    assert failure(peer.take_told()).registration == handle


def test_registration_is_taken_back() -> None:
    peer, handle, register = registering(ALICE)
    reply(peer, register, 200)
    peer.take_told()
    peer.endpoint.unregister(handle, peer.now)
    leaving = heard(peer)
    assert leaving.headers.get("Expires") == "0"
    reply(peer, leaving, 401, CHALLENGE)
    reply(peer, heard(peer), 200)
    assert peer.take_told() == [Unregistered(handle)]
    peer.wait(10_000.0)
    assert peer.take() == []
    with pytest.raises(LookupError):
        peer.endpoint.unregister(handle, peer.now)


def test_registration_taken_back_while_it_is_made() -> None:
    peer, handle, register = registering()
    peer.endpoint.unregister(handle, peer.now)
    assert peer.take() == []
    reply(peer, register, 200)
    leaving = heard(peer)
    assert leaving.headers.get("Expires") == "0"
    peer.wait(33.0)
    assert peer.take_told() == [Unregistered(handle)]


def test_calls_reach_the_extension() -> None:
    endpoint: Endpoint = an_endpoint()
    peer = Peer(endpoint)
    handle = endpoint.register(
        Uri.parse("sip:101@pbx"), PBX, None, peer.now, expires_s=60, contact_user="bot"
    )
    assert heard(peer).contacts[0].uri.user == "bot"
    assert handle
    assert peer.flow == Flow(Transport.UDP, HOST, 5060)
