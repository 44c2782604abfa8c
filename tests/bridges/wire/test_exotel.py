"""Our end of Exotel's stream: literal JSON in, events out, and every way to break it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.wire.close import CloseCode, InvalidState, ProtocolError
from bridges.wire.exotel import (
    HANDSHAKE_TIMEOUT_S,
    MAX_DIGITS,
    MEDIA_TIMEOUT_S,
    ExotelServer,
    State,
)
from bridges.wire.exotel_event import (
    AudioReceived,
    BotCleared,
    BotSpoke,
    ExotelEvent,
    KeyPressed,
    MarkAsked,
    MarkReached,
    StreamStarted,
    StreamStopped,
)
from bridges.wire.exotel_message import MAX_STREAM_MESSAGE_BYTES, StreamFormat
from bridges.wire.exotel_phone import ExotelPhone

VECTORS = Path(__file__).parents[2] / "vectors" / "exotel"
CHUNK = bytes(range(160)) * 2


def vector(name: str) -> list[str]:
    return (VECTORS / f"{name}.jsonl").read_text().splitlines()


INCOMING = vector("incoming")
CONNECTED, START, MEDIA = INCOMING[:3]


def events_of(server: ExotelServer, messages: list[str], now: float = 0.0) -> list[ExotelEvent]:
    return [event for message in messages for event in server.receive(message, now)]


def started_server() -> ExotelServer:
    server = ExotelServer(0.0)
    events_of(server, [CONNECTED, START])
    return server


def start_with(**changes: Any) -> str:
    message = json.loads(START)
    message["start"].update(changes)
    return json.dumps(message)


def refusal(server: ExotelServer, messages: list[str]) -> ProtocolError:
    with pytest.raises(ProtocolError) as raised:
        events_of(server, messages)
    return raised.value


def test_call_becomes_events() -> None:
    server = ExotelServer(0.0)

    assert events_of(server, INCOMING) == [
        StreamStarted(
            stream_id="stream-1",
            call_id="call-1",
            account_id="acme1",
            caller="+10000000001",
            callee="10000000002",
            rate_hz=8000,
            fields={
                "campaign": "renewals",
                "attempt": "2",
                "stream_sid": "stream-1",
                "call_sid": "call-1",
                "account_sid": "acme1",
                "from": "+10000000001",
                "to": "10000000002",
            },
        ),
        AudioReceived(b"\x01\0\x02\0\x03\0\x04\0"),
        KeyPressed("5", 120),
        MarkReached("1"),
        AudioReceived(b""),
        StreamStopped("callended"),
    ]
    assert server.state is State.CLOSED
    assert (server.ignored_events, server.late_messages) == (0, 0)


def test_variants_of_exotels_own_pages_are_understood() -> None:
    server = ExotelServer(0.0)

    started, media, hash_key, nine, stopped = events_of(server, vector("variants"))

    assert isinstance(started, StreamStarted)
    assert (started.stream_id, started.call_id, started.caller) == ("stream-2", "7", "10000000001")
    assert started.rate_hz == 16000
    # What Exotel says of the call is not for a custom parameter to say.
    assert (started.fields["campaign"], started.fields["call_sid"]) == ("late", "7")
    assert media == AudioReceived(b"\x01\0\x02\0")
    assert (hash_key, nine) == (KeyPressed("#", 0), KeyPressed("9", 80))
    assert stopped == StreamStopped("")
    assert server.ignored_events == 3


@pytest.mark.parametrize("asked", ["", "16000"])
def test_rate_of_the_url_counts_where_start_names_none(asked: str) -> None:
    server = ExotelServer(0.0, url_rate=asked)
    (started,) = events_of(server, [CONNECTED, start_with(media_format={})])

    assert isinstance(started, StreamStarted)
    assert started.rate_hz == int(asked or 8000)


def test_mu_law_is_pcm_to_everybody_else() -> None:
    server, phone = ExotelServer(0.0), ExotelPhone(StreamFormat(8000, is_mu_law=True))
    phone.connect()
    phone.start("s")
    said = b"\x84\x03" * 320
    phone.send_media(said)

    _, heard = events_of(server, phone.outgoing())
    assert isinstance(heard, AudioReceived)
    assert len(heard.pcm) == len(said)
    server.send_media(heard.pcm)
    assert len(json.loads(server.outgoing()[0])["media"]["payload"]) == 428


def test_stream_without_an_id_goes_by_its_call() -> None:
    server = ExotelServer(0.0)
    start = json.dumps({"event": "start", "start": {"call_sid": "call-9"}})
    (started,) = events_of(server, [CONNECTED, start])
    assert isinstance(started, StreamStarted)
    assert started.stream_id == "call-9"

    nameless = '{"event":"start","start":{}}'
    assert refusal(ExotelServer(0.0), [CONNECTED, nameless]).close_code is CloseCode.MALFORMED


def test_outgoing_messages_match_the_golden_vector() -> None:
    server = started_server()

    server.send_media(CHUNK)
    server.send_mark("1")
    server.clear()

    assert server.outgoing() == vector("outgoing")
    assert server.outgoing() == []


@pytest.mark.parametrize("size_bytes", [0, 2, 319, 322, 320 * 235])
def test_chunk_of_another_size_is_our_bug(size_bytes: int) -> None:
    with pytest.raises(InvalidState, match="a chunk has"):
        started_server().send_media(bytes(size_bytes))


@pytest.mark.parametrize(
    "misuse",
    [
        lambda server: server.send_media(CHUNK),
        lambda server: server.send_mark("1"),
        lambda server: server.clear(),
    ],
)
def test_speaking_before_start_or_after_the_end_is_our_bug(
    misuse: Callable[[ExotelServer], None],
) -> None:
    before, after = ExotelServer(0.0), started_server()
    events_of(before, [CONNECTED])
    after.close()

    for server in (before, after):
        with pytest.raises(InvalidState):
            misuse(server)


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        ([START], 4409, "expected connected, got start"),
        (['{"event":"stop"}'], 4409, "expected connected, got stop"),
        ([CONNECTED, CONNECTED], 4409, "expected start, got connected"),
        ([CONNECTED, MEDIA], 4409, "expected start, got media"),
        ([CONNECTED, START, START], 4409, "expected media, got start"),
        (["hello"], 4400, "message is not JSON"),
        ([CONNECTED, '{"event":"start","start":[]}'], 4400, "start: expected an object, got list"),
        (
            [CONNECTED, START, '{"event":"media","media":{}}'],
            4400,
            "payload: expected base64 text, got nothing",
        ),
        (
            [CONNECTED, START, '{"event":"media","media":{"payload":"AAA"}}'],
            4422,
            "payload: not base64",
        ),
        (
            [CONNECTED, START, '{"event":"media","media":{"payload":"AA=="}}'],
            4422,
            "payload: odd number of bytes (1)",
        ),
        (
            [CONNECTED, start_with(media_format={"sample_rate": 44100})],
            4415,
            "media_format.sample_rate: expected 8000, 16000 or 24000",
        ),
    ],
)
def test_broken_protocol_closes_with_its_code_and_reason(
    messages: list[str], code: int, reason: str
) -> None:
    server = ExotelServer(0.0)

    events_of(server, messages[:-1])
    error = refusal(server, messages[-1:])

    assert (error.close_code, error.reason) == (code, reason)
    assert (server.state, server.deadline()) == (State.CLOSED, None)


def test_error_is_raised_once_then_messages_are_late() -> None:
    server = ExotelServer(0.0)
    refusal(server, ["hello"])

    assert events_of(server, INCOMING) == []
    assert server.late_messages == len(INCOMING)
    server.expire(1e9)


def test_binary_frame_and_message_above_the_limit_are_refused() -> None:
    with pytest.raises(ProtocolError) as raised:
        started_server().receive(MEDIA.encode(), 0.0)
    assert raised.value.close_code is CloseCode.BINARY_FRAME

    payload = "A" * MAX_STREAM_MESSAGE_BYTES
    message = json.dumps({"event": "media", "media": {"payload": payload}})
    assert refusal(started_server(), [message]).close_code is CloseCode.TOO_BIG


def test_largest_chunk_there_is_comes_through() -> None:
    payload = "AAAA" * 33_333
    message = json.dumps({"event": "media", "media": {"payload": payload[:133_328]}})

    (heard,) = events_of(started_server(), [message])

    assert isinstance(heard, AudioReceived)
    assert len(heard.pcm) == 99_996


def test_flood_of_keys_is_no_persons() -> None:
    server = started_server()
    key = '{"event":"dtmf","digit":"1","duration":-5}'

    assert len(events_of(server, [key] * (MAX_DIGITS + 3))) == MAX_DIGITS
    assert server.ignored_events == 3


@pytest.mark.parametrize("spoken", [0, 1])
def test_unfinished_handshake_expires(spoken: int) -> None:
    server = ExotelServer(100.0)
    events_of(server, INCOMING[:spoken], now=105.0)
    deadline = server.deadline()

    assert deadline == 100.0 + HANDSHAKE_TIMEOUT_S
    server.expire(deadline - 0.001)
    with pytest.raises(ProtocolError) as raised:
        server.expire(deadline)
    assert raised.value.close_code is CloseCode.HANDSHAKE_TIMEOUT
    assert raised.value.reason == f"no {('connected', 'start')[spoken]} in time"


def test_stream_without_media_expires() -> None:
    server = ExotelServer(0.0)
    events_of(server, [CONNECTED, START], now=5.0)
    assert server.deadline() == 5.0 + MEDIA_TIMEOUT_S
    server.receive(MEDIA, 12.0)
    server.expire(5.0 + MEDIA_TIMEOUT_S)

    with pytest.raises(ProtocolError, match="no media for 10 s") as raised:
        server.expire(12.0 + MEDIA_TIMEOUT_S)
    assert raised.value.close_code is CloseCode.MEDIA_TIMEOUT


def test_timeouts_can_be_set() -> None:
    server = ExotelServer(0.0, handshake_timeout_s=1.0, media_timeout_s=2.0)
    assert server.deadline() == 1.0

    events_of(server, [CONNECTED, START], now=0.5)
    assert server.deadline() == 2.5


def test_two_ends_back_to_back_understand_each_other() -> None:
    server, phone = ExotelServer(0.0), ExotelPhone(min_chunk_bytes=320)
    phone.connect()
    phone.start("s", caller="1", callee="2", parameters={"a": "b"})
    phone.send_media(CHUNK)
    phone.press("*")

    started, *rest = events_of(server, phone.outgoing())
    assert isinstance(started, StreamStarted)
    assert started.fields["a"] == "b"
    assert rest == [AudioReceived(CHUNK), KeyPressed("*", 100)]

    server.send_media(CHUNK)
    server.send_mark("7")
    server.clear()
    assert [event for text in server.outgoing() for event in phone.receive(text)] == [
        BotSpoke(CHUNK),
        MarkAsked("7"),
        BotCleared(),
    ]
    phone.reach("7")
    phone.stop()
    assert events_of(server, phone.outgoing()) == [MarkReached("7"), StreamStopped("callended")]


def survives(messages: list[bytes | str]) -> None:
    """Feed messages; nothing but one `ProtocolError` may come out."""
    server = ExotelServer(0.0)
    for number, message in enumerate(messages):
        try:
            server.receive(message, float(number))
            server.expire(float(number))
        except ProtocolError:
            assert server.state is State.CLOSED
        server.outgoing()


@pytest.mark.parametrize("message", range(len(INCOMING)))
def test_truncated_message_breaks_nothing_else(message: int) -> None:
    for size in range(len(INCOMING[message])):
        survives([*INCOMING[:message], INCOMING[message][:size], *INCOMING[message:]])


@pytest.mark.parametrize("message", range(len(INCOMING)))
def test_split_duplicated_or_oversized_message_breaks_nothing_else(message: int) -> None:
    text = INCOMING[message]
    half = len(text) // 2

    survives([*INCOMING[:message], text[:half], text[half:], *INCOMING[message:]])
    survives([*INCOMING[:message], text, text, *INCOMING[message:]])
    survives([*INCOMING[:message], text + " " * MAX_STREAM_MESSAGE_BYTES, *INCOMING[message:]])


@given(st.permutations(INCOMING))
def test_reordered_messages_break_nothing_else(messages: list[str]) -> None:
    survives(list(messages))


NASTY: list[Any] = [
    None, True, -1, 8000, "8000", 1.5, 1e300, "", "A", "AAAA", "AAA=", [], [[]], {}, {"": 0},
]  # fmt: skip
VALUES = st.sampled_from(NASTY) | st.text(max_size=8) | st.integers()
NAMES = ["connected", "start", "media", "dtmf", "mark", "stop", "clear"]
FIELDS = [
    "stream_sid", "call_sid", "from", "to", "custom_parameters", "media_format", "encoding",
    "sample_rate", "payload", "digit", "duration", "name", "reason",
]  # fmt: skip
INNER = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4)


def message_of(event: str, inner: dict[str, Any], nested: bool) -> str:
    fields = {event: {**inner, "media_format": inner}} if nested else inner
    return json.dumps({"event": event, **fields})


ANY_MESSAGE = st.one_of(
    st.sampled_from(INCOMING + vector("variants")),
    st.builds(message_of, st.sampled_from(NAMES), INNER, st.booleans()),
    st.text(max_size=40),
    st.binary(max_size=8),
)


@settings(max_examples=500)
@given(st.lists(ANY_MESSAGE, max_size=5), st.integers(0, 2))
def test_nothing_but_protocol_error_comes_out(messages: list[bytes | str], spoken: int) -> None:
    survives([*INCOMING[:spoken], *messages])
