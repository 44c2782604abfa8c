"""A stream cut into messages, however its octets arrive."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.framing import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    PONG,
    StreamFramer,
    content_length,
)

ONE = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 4\r\n\r\n\r\n\r\n"
TWO = "BYE sip:ü@b SIP/2.0\r\nX: y\r\nl : 3\r\n\r\n€".encode()
LF = b"BYE sip:a@b SIP/2.0\nCONTENT-LENGTH:\n 0\n\n"


def test_messages_are_counted_in_octets() -> None:
    assert StreamFramer().receive(ONE + TWO + LF) == [ONE, TWO, LF]


@given(st.lists(st.integers(0, len(ONE + TWO + ONE)), max_size=8))
def test_messages_arrive_whole_however_they_are_split(places: list[int]) -> None:
    stream = ONE + TWO + ONE
    cuts = [0, *sorted(places), len(stream)]
    framer = StreamFramer()

    pieces = [stream[start:end] for start, end in pairwise(cuts)]
    messages = [message for piece in pieces for message in framer.receive(piece)]

    assert messages == [ONE, TWO, ONE]
    assert framer.is_empty


def test_messages_arrive_whole_octet_by_octet() -> None:
    framer = StreamFramer()
    octets = [bytes([each]) for each in TWO + ONE]
    assert [message for each in octets for message in framer.receive(each)] == [TWO, ONE]


def test_pings_are_answered_and_pongs_are_not() -> None:
    framer = StreamFramer()

    assert framer.receive(b"\r\n\r\n") == []
    assert framer.outgoing() == [PONG]
    assert framer.receive(b"\r") == []
    assert framer.receive(b"\n") == []
    assert framer.outgoing() == []
    assert framer.is_empty
    assert framer.receive(b"\r\n" + TWO + b"\r\n" + ONE) == [TWO, ONE]
    assert framer.outgoing() == [PONG]


def test_part_of_a_message_waits() -> None:
    framer = StreamFramer()
    assert framer.receive(ONE[:-1]) == []
    assert not framer.is_empty
    assert framer.receive(ONE[-1:]) == [ONE]


def test_head_without_end_is_refused_before_it_fills_memory() -> None:
    framer = StreamFramer()
    framer.receive(b"x" * MAX_HEAD_BYTES)
    with pytest.raises(ProtocolError) as raised:
        framer.receive(b"x")
    assert raised.value.status == 513


def test_head_too_large_is_refused_though_it_has_an_end() -> None:
    with pytest.raises(ProtocolError, match="head"):
        StreamFramer().receive(b"x" * MAX_HEAD_BYTES + b"\r\n\r\n")


@pytest.mark.parametrize(
    "head",
    [
        b"BYE a SIP/2.0\r\n\r\n",
        b"BYE a SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n",
        b"BYE a SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        b"BYE a SIP/2.0\r\nContent-Length: 12345678901\r\n\r\n",
        b"BYE a SIP/2.0\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        b"BYE a SIP/2.0\r\nX-Content-Length: 0\r\n\r\n",
    ],
)
def test_stream_without_a_length_cannot_be_trusted(head: bytes) -> None:
    with pytest.raises(ProtocolError):
        StreamFramer().receive(head)


def test_length_said_twice_alike_is_a_length() -> None:
    assert content_length(b"a\r\nContent-Length: 3\r\nl:3\r\n\r\n") == 3


@given(st.binary(max_size=300))
def test_any_octets_are_messages_or_refused(data: bytes) -> None:
    framer = StreamFramer()
    try:
        for message in framer.receive(data):
            assert message in data
    except ProtocolError:
        pass
