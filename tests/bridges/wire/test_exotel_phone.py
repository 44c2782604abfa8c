"""Exotel's end: what it says, what it understands, and what it ends a stream over."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bridges.wire.close import CloseCode, InvalidState, ProtocolError
from bridges.wire.exotel_event import BotCleared, BotSpoke, ExotelPhoneEvent, MarkAsked
from bridges.wire.exotel_message import StreamFormat
from bridges.wire.exotel_phone import ExotelPhone, ExotelPhoneState
from bridges.wire.message import encode_audio


def started_phone() -> ExotelPhone:
    phone = ExotelPhone()
    phone.connect()
    phone.start("s")
    phone.outgoing()
    return phone


def media(size_bytes: int, **fields: object) -> str:
    payload = {"payload": encode_audio(bytes(size_bytes)), **fields}
    return json.dumps({"event": "media", "stream_sid": "s", "media": payload})


def test_call_is_said_in_order_and_numbers_are_text() -> None:
    phone = ExotelPhone(StreamFormat(16000))

    phone.connect()
    phone.start("stream-1", caller="1", callee="2", parameters={"campaign": "x"})
    phone.send_media(bytes(3200))
    phone.send_media(bytes(2))
    phone.press("5")
    phone.reach("m")
    phone.stop()

    said = [json.loads(message) for message in phone.outgoing()]
    assert [message["event"] for message in said] == [
        "connected", "start", "media", "media", "dtmf", "mark", "stop",
    ]  # fmt: skip
    assert said[1]["start"] == {
        "stream_sid": "stream-1",
        "call_sid": "call-1",
        "account_sid": "account-1",
        "from": "1",
        "to": "2",
        "custom_parameters": {"campaign": "x"},
        "media_format": {"encoding": "raw", "sample_rate": "16000", "bit_rate": "16"},
    }
    assert said[3]["media"] == {"chunk": "2", "timestamp": "100", "payload": "AAA="}
    assert [message.get("sequence_number") for message in said[1:]] == list("123456")
    assert phone.outgoing() == []
    assert phone.state is ExotelPhoneState.CLOSED


@pytest.mark.parametrize(
    "misuse",
    [
        lambda phone: phone.start("s"),
        lambda phone: phone.send_media(b""),
        lambda phone: phone.press("1"),
        lambda phone: phone.reach("m"),
        lambda phone: phone.stop(),
    ],
)
def test_call_out_of_order_is_our_bug(misuse: Callable[[ExotelPhone], None]) -> None:
    with pytest.raises(InvalidState, match="not while opened"):
        misuse(ExotelPhone())
    with pytest.raises(InvalidState, match="not while started"):
        started_phone().connect()


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (media(3200), BotSpoke(bytes(3200))),
        (media(6400, chunk="1", timestamp="0"), BotSpoke(bytes(6400))),
        ('{"event":"mark","streamSid":"s","mark":{"name":"m"}}', MarkAsked("m")),
        ('{"event":"clear","stream_sid":"s"}', BotCleared()),
    ],
)
def test_message_of_the_bot_is_understood(message: str, event: ExotelPhoneEvent) -> None:
    assert started_phone().receive(message) == [event]


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (media(0), 4422, "chunk of 0 bytes: expected a multiple of 320 from 3200 on"),
        (media(2880), 4422, "chunk of 2880 bytes: expected a multiple of 320 from 3200 on"),
        (media(3300), 4422, "chunk of 3300 bytes: expected a multiple of 320 from 3200 on"),
        (media(76_800), 1009, "chunk of 76800 bytes"),
        (media(3200, chunk=1), 4400, "chunk: expected text, got int"),
        (media(3200, timestamp=0), 4400, "timestamp: expected text, got int"),
        (
            '{"event":"clear","stream_sid":"s","sequence_number":1}',
            4400,
            "sequence_number: expected text, got int",
        ),
        ('{"event":"clear"}', 4400, "stream_sid: expected the stream's id, got nothing"),
    ],
)
def test_rules_of_the_platform_are_enforced(message: str, code: int, reason: str) -> None:
    phone = started_phone()

    with pytest.raises(ProtocolError) as raised:
        phone.receive(message)

    assert (raised.value.close_code, raised.value.reason) == (code, reason)
    assert phone.receive(message) == []


def test_account_may_take_less() -> None:
    phone = ExotelPhone(StreamFormat(8000, is_mu_law=True), min_chunk_bytes=320)
    phone.connect()
    phone.start("s")

    (spoken,) = phone.receive(media(320))

    assert isinstance(spoken, BotSpoke)
    assert len(spoken.pcm) == 640


def test_unknown_messages_are_ignored_and_counted() -> None:
    phone = started_phone()

    assert phone.receive('{"event":"hangup"}') == []
    assert phone.ignored_events == 1


def test_bot_that_speaks_before_start_is_refused() -> None:
    with pytest.raises(ProtocolError, match="clear before start") as raised:
        ExotelPhone().receive('{"event":"clear","stream_sid":"s"}')

    assert raised.value.close_code is CloseCode.OUT_OF_ORDER
