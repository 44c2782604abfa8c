"""Digits by INFO, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.close import InvalidState
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import DigitPressed, DigitRefused
from bridges.wire.sip.keypad import (
    DEFAULT_DURATION_MS,
    MAX_DURATION_MS,
    MAX_QUEUED,
    PLAIN,
    RELAY,
    parse_digit,
    serialize_digit,
)
from bridges.wire.sip.message import Request, Response
from tests.fakes.sip_peer import Peer, an_endpoint, call_in


@pytest.mark.parametrize(
    ("content_type", "body", "digit", "duration_ms"),
    [
        (RELAY, b"Signal=5\r\nDuration=160\r\n", "5", 160),
        (RELAY, b"Signal= *\r\nDuration= 250", "*", 250),
        (RELAY, b"signal=11\nx\n", "#", DEFAULT_DURATION_MS),
        (RELAY, b"Signal=10\r\nDuration=abc", "*", DEFAULT_DURATION_MS),
        (RELAY, b"Duration=999999\r\nSignal=d", "D", MAX_DURATION_MS),
        (PLAIN, b"7\r\n", "7", DEFAULT_DURATION_MS),
        (PLAIN, b"15", "D", DEFAULT_DURATION_MS),
    ],
)
def test_digit_is_read(content_type: str, body: bytes, digit: str, duration_ms: int) -> None:
    assert parse_digit(content_type, body) == (digit, duration_ms)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (RELAY, b"", 400),
        (RELAY, b"Signal=hookflash", 400),
        (PLAIN, b"55", 400),
        (PLAIN, b"\xff", 400),
        ("application/x", b"5", 415),
    ],
)
def test_what_is_no_digit_is_refused(content_type: str, body: bytes, status: int) -> None:
    with pytest.raises(ProtocolError) as raised:
        parse_digit(content_type, body)
    assert raised.value.status == status


@given(st.sampled_from([RELAY, PLAIN]), st.binary())
def test_any_body_is_a_digit_or_refused(content_type: str, body: bytes) -> None:
    try:
        digit, _ = parse_digit(content_type, body)
    except ProtocolError:
        return
    assert len(digit) == 1


def test_digit_received_is_told_once() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    info = peer.say("INFO", 2, (), b"Signal=5\r\nDuration=120", RELAY)
    peer.send(info)

    assert peer.take_told() == [DigitPressed(call, "5", 120)]
    assert peer.names() == ["200", "200"]


def test_info_without_a_digit_is_answered() -> None:
    peer = Peer(an_endpoint())
    call_in(peer)
    peer.say("INFO", 2)
    peer.say("INFO", 3, (), b"x", "text/plain")
    peer.say("INFO", 4, (), b"Signal=x", RELAY)

    heard = peer.take()
    assert [each.status for each in heard if isinstance(each, Response)] == [200, 415, 400]
    assert heard[1].headers.get("Accept") == f"{RELAY}, {PLAIN}"
    assert peer.take_told() == []


def test_digits_go_out_one_after_another() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    peer.endpoint.send_digit(call, "1", 160, peer.now)
    peer.endpoint.send_digit(call, "#", 200, peer.now)

    (first,) = peer.take()
    assert (first.content_type, first.body) == (RELAY, serialize_digit("1", 160))
    assert isinstance(first, Request)
    peer.reply(first, 100)
    assert peer.take() == []
    peer.reply(first, 200)
    (second,) = peer.take()
    assert second.body == b"Signal=#\r\nDuration=200\r\n"
    peer.reply(second, 415)
    assert peer.take_told() == [DigitRefused(call, "#", 415)]


def test_lost_peer_gets_no_further_digit() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    for digit in "12":
        peer.endpoint.send_digit(call, digit, 160, peer.now)
    peer.reply(peer.take()[0], 481)
    assert peer.names() == ["BYE"]


def test_digits_of_a_call_that_is_over_are_dropped() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    peer.endpoint.send_digit(call, "1", 160, peer.now)
    peer.endpoint.send_digit(call, "2", 160, peer.now)
    (first,) = peer.take()
    peer.say("BYE", 2)
    peer.reply(first, 200)
    assert peer.names() == ["200"]


def test_only_digits_are_sent_and_not_without_end() -> None:
    peer = Peer(an_endpoint())
    call = call_in(peer)
    for digit in ("", "12", "x", "1\r\n"):
        with pytest.raises(InvalidState):
            peer.endpoint.send_digit(call, digit, 160, peer.now)
    for _ in range(MAX_QUEUED + 1):
        peer.endpoint.send_digit(call, "1", 160, peer.now)
    with pytest.raises(InvalidState):
        peer.endpoint.send_digit(call, "1", 160, peer.now)
