"""The dialler's end: what it says, what it understands, and what it must not do."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bridges.wire.close import CloseCode, InvalidState, ProtocolError
from bridges.wire.dialler_event import BotAudio, BotHungUp, BotStopped, TransferAsked
from bridges.wire.dialler_phone import DiallerPhone, PhoneState


def answered_phone() -> DiallerPhone:
    phone = DiallerPhone()
    phone.connect({"callerId": "1"})
    phone.start("s")
    phone.answer()
    phone.outgoing()
    return phone


def test_call_is_said_in_order() -> None:
    phone = DiallerPhone()

    phone.connect({"callerId": "+10000000001", "campaign": "renewals"})
    phone.start("stream-1")
    phone.answer()
    phone.send_media(b"\x01\x02")
    phone.hang_up()

    assert [json.loads(message) for message in phone.outgoing()] == [
        {"event": "connected", "callerId": "+10000000001", "campaign": "renewals"},
        {
            "event": "start",
            "streamId": "stream-1",
            "mediaFormat": {"encoding": "LINEAR", "sampleRate": 8000, "channels": 1},
        },
        {"event": "answer"},
        {"event": "media", "payload": "AQI="},
        {"event": "hangup-call", "disconnectedBy": "customer"},
    ]
    assert phone.outgoing() == []
    assert phone.state is PhoneState.CLOSED


@pytest.mark.parametrize(
    "misuse",
    [
        lambda phone: phone.start("s"),
        lambda phone: phone.answer(),
        lambda phone: phone.send_media(b""),
        lambda phone: phone.hang_up(),
    ],
)
def test_call_out_of_order_is_our_bug(misuse: Callable[[DiallerPhone], None]) -> None:
    with pytest.raises(InvalidState, match="not while opened"):
        misuse(DiallerPhone())


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ('{"event":"reverse-media","chunk":42,"payload":"AQI="}', BotAudio(42, b"\x01\x02")),
        ('{"event":"reverse-media-stop"}', BotStopped()),
        ('{"event":"reverse-hangup-call","message":"Call ended by bot"}',
         BotHungUp("Call ended by bot")),
        ('{"event":"reverse-call-transfer","transferTo":"2","target":"t","reason":"r"}',
         TransferAsked("2", "t", "r")),
    ],
)  # fmt: skip
def test_message_of_the_bot_is_understood(message: str, event: object) -> None:
    assert answered_phone().receive(message) == [event]


def test_unknown_messages_are_ignored_and_counted() -> None:
    phone = answered_phone()

    assert phone.receive('{"event":"pong"}') == []
    assert phone.receive('{"event":"reverse-applause"}') == []
    assert phone.ignored_events == 2


def test_bot_message_before_answer_is_refused_once_then_the_phone_is_deaf() -> None:
    phone = DiallerPhone()
    stop = '{"event":"reverse-media-stop"}'

    with pytest.raises(ProtocolError, match="before answer") as raised:
        phone.receive(stop)

    assert raised.value.close_code is CloseCode.OUT_OF_ORDER
    assert phone.receive(stop) == []


def test_audio_without_chunk_number_is_refused() -> None:
    with pytest.raises(ProtocolError, match="chunk: expected a whole number"):
        answered_phone().receive('{"event":"reverse-media","payload":"AQI="}')


def test_nothing_is_heard_after_the_bot_hung_up() -> None:
    phone = answered_phone()
    phone.receive('{"event":"reverse-hangup-call"}')

    assert phone.receive('{"event":"reverse-media-stop"}') == []
    with pytest.raises(InvalidState):
        phone.hang_up()
