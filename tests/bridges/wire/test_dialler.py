"""Our end of the dialler protocol: literal JSON in, events out, and every way to break it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.wire.close import CloseCode, InvalidState, ProtocolError
from bridges.wire.dialler import (
    HANDSHAKE_TIMEOUT_S,
    MEDIA_TIMEOUT_S,
    DiallerServer,
    State,
)
from bridges.wire.dialler_event import (
    Answered,
    BotAudio,
    BotHungUp,
    BotStopped,
    Connected,
    DiallerEvent,
    HungUp,
    MediaReceived,
    Started,
    TransferAsked,
)
from bridges.wire.dialler_message import CHUNK_BYTES, MAX_FIELDS
from bridges.wire.dialler_phone import DiallerPhone
from bridges.wire.message import MAX_MESSAGE_BYTES, decode_audio

VECTORS = Path(__file__).parents[2] / "vectors" / "dialler"
AT = datetime(2026, 6, 5, 15, 45, 7, 987_654, tzinfo=UTC)


def vector(name: str) -> list[str]:
    return (VECTORS / f"{name}.jsonl").read_text().splitlines()


INCOMING = vector("incoming")
HANDSHAKE = INCOMING[:3]
MEDIA = INCOMING[3]


def events_of(server: DiallerServer, messages: list[str], now: float = 0.0) -> list[DiallerEvent]:
    return [event for message in messages for event in server.receive(message, now)]


def answered_server() -> DiallerServer:
    server = DiallerServer(0.0)
    events_of(server, HANDSHAKE)
    return server


def refusal(server: DiallerServer, messages: list[str]) -> ProtocolError:
    with pytest.raises(ProtocolError) as raised:
        events_of(server, messages)
    return raised.value


def test_incoming_call_becomes_events() -> None:
    pcm = decode_audio(json.loads(MEDIA))
    server = DiallerServer(0.0)

    assert events_of(server, INCOMING) == [
        Connected(
            caller_id="+10000000001",
            did="10000000002",
            direction="incoming",
            stream_id="stream-1",
            fields={
                "callerId": "+10000000001",
                "did": "10000000002",
                "callDirection": "incoming",
                "streamId": "stream-1",
                "campaign": "renewals",
                "customer_name": "Asha",
                "attempt": 2,
                "tags": ["vip"],
            },
        ),
        Started("stream-1"),
        Answered(),
        MediaReceived(pcm),
        MediaReceived(bytes(CHUNK_BYTES)),
        MediaReceived(b""),
        HungUp("customer"),
    ]
    assert server.state is State.CLOSED
    assert (server.ignored_events, server.ignored_fields, server.late_messages) == (0, 0, 0)


def test_variants_real_diallers_send_are_understood() -> None:
    server = DiallerServer(0.0)

    connected, started, answered, media, hung_up = events_of(server, vector("variants"))

    assert isinstance(connected, Connected)
    assert (connected.caller_id, connected.did) == ("10000000001", "10000000002")
    assert (connected.direction, connected.stream_id) == ("outgoing", "")
    assert connected.fields["callerId"] == 10000000001
    assert (started, answered, hung_up) == (Started("7"), Answered(), HungUp(""))
    assert isinstance(media, MediaReceived)
    assert len(media.pcm) == 160
    assert server.ignored_events == 1
    assert server.ignored_fields == 4


def test_outgoing_messages_match_the_golden_vector() -> None:
    server = answered_server()

    server.send_media(decode_audio(json.loads(MEDIA)), AT)
    server.send_media(bytes(CHUNK_BYTES), AT)
    server.stop_media()
    server.hang_up("Call ended by bot")

    assert server.outgoing() == vector("outgoing")
    assert server.outgoing() == []
    assert server.state is State.CLOSED


def test_transfer_matches_the_golden_vector_and_waits_for_the_dialler() -> None:
    server = answered_server()

    server.transfer("+10000000003", target="billing", reason="asked for a person")

    assert server.outgoing() == vector("transfer")
    assert server.deadline() is None
    assert server.receive(MEDIA, 1.0) == []
    assert server.late_messages == 1
    with pytest.raises(InvalidState, match="not while waiting for hangup-call"):
        server.send_media(bytes(CHUNK_BYTES), AT)
    with pytest.raises(InvalidState, match="not while waiting for hangup-call"):
        server.hang_up("the call is the dialler's now")
    assert server.receive(INCOMING[-1], 2.0) == [HungUp("customer")]


@pytest.mark.parametrize("case", vector("refused"), ids=lambda case: json.loads(case)["name"])
def test_broken_protocol_closes_with_its_code_and_reason(case: str) -> None:
    wanted = json.loads(case)
    server = DiallerServer(0.0)

    events_of(server, wanted["messages"][:-1])
    error = refusal(server, wanted["messages"][-1:])

    assert (error.close_code, error.reason) == (wanted["close_code"], wanted["reason"])
    assert server.state is State.CLOSED
    assert server.deadline() is None


def test_error_is_raised_once_then_messages_are_late() -> None:
    server = DiallerServer(0.0)
    refusal(server, ["hello"])

    assert events_of(server, INCOMING) == []
    assert server.late_messages == len(INCOMING)
    assert server.expire(1e9) == []


def test_binary_frame_is_refused() -> None:
    with pytest.raises(ProtocolError) as raised:
        answered_server().receive(MEDIA.encode(), 0.0)

    assert raised.value.close_code is CloseCode.BINARY_FRAME


def test_message_above_the_limit_is_refused() -> None:
    message = json.dumps({"event": "media", "payload": "A" * MAX_MESSAGE_BYTES})

    assert refusal(answered_server(), [message]).close_code is CloseCode.TOO_BIG


def test_connected_event_may_have_many_fields_but_not_endlessly_many() -> None:
    fields = {"event": "connected", **{f"f{n}": n for n in range(MAX_FIELDS - 1)}}
    events_of(DiallerServer(0.0), [json.dumps(fields)])

    error = refusal(DiallerServer(0.0), [json.dumps({**fields, "one": "more"})])
    assert error.reason == f"connected: expected at most {MAX_FIELDS} fields, got dict"


def test_hangup_is_understood_while_the_phone_still_rings() -> None:
    for spoken in (1, 2):
        server = DiallerServer(0.0)
        events_of(server, HANDSHAKE[:spoken])
        assert server.receive('{"event":"hangup-call"}', 1.0) == [HungUp("")]


@pytest.mark.parametrize("spoken", [0, 1, 2])
def test_unfinished_handshake_expires(spoken: int) -> None:
    server = DiallerServer(100.0)
    events_of(server, HANDSHAKE[:spoken], now=105.0)
    deadline = server.deadline()

    assert deadline == 100.0 + HANDSHAKE_TIMEOUT_S
    assert server.expire(deadline - 0.001) == []
    with pytest.raises(ProtocolError) as raised:
        server.expire(deadline)
    assert raised.value.close_code is CloseCode.HANDSHAKE_TIMEOUT
    assert raised.value.reason == f"no {('connected', 'start', 'answer')[spoken]} in time"
    assert server.deadline() is None


def test_dialler_that_sends_no_media_expires() -> None:
    server = DiallerServer(0.0)
    events_of(server, HANDSHAKE, now=5.0)
    assert server.deadline() == 5.0 + MEDIA_TIMEOUT_S

    server.receive(MEDIA, 20.0)
    assert server.expire(5.0 + MEDIA_TIMEOUT_S) == []

    with pytest.raises(ProtocolError, match="no media for 30 s") as raised:
        server.expire(20.0 + MEDIA_TIMEOUT_S)
    assert raised.value.close_code is CloseCode.MEDIA_TIMEOUT


def test_timeouts_can_be_set() -> None:
    server = DiallerServer(0.0, handshake_timeout_s=1.0, media_timeout_s=2.0)
    assert server.deadline() == 1.0

    events_of(server, HANDSHAKE, now=0.5)
    assert server.deadline() == 2.5


@pytest.mark.parametrize(
    "misuse",
    [
        lambda server: server.send_media(bytes(CHUNK_BYTES), AT),
        lambda server: server.stop_media(),
        lambda server: server.transfer("1"),
        lambda server: server.hang_up("bye"),
    ],
)
def test_speaking_before_answer_or_after_the_end_is_our_bug(
    misuse: Callable[[DiallerServer], None],
) -> None:
    before, after = DiallerServer(0.0), answered_server()
    events_of(before, HANDSHAKE[:2])
    after.hang_up("bye")

    for server in (before, after):
        with pytest.raises(InvalidState):
            misuse(server)


@pytest.mark.parametrize("chunks", [1, 10, 20])
def test_chunk_tells_how_long_it_is(chunks: int) -> None:
    server = answered_server()
    server.send_media(bytes(chunks * CHUNK_BYTES), AT)

    (message,) = server.outgoing()
    assert json.loads(message)["chunk_durn_ms"] == 20 * chunks


@pytest.mark.parametrize("size_bytes", [0, CHUNK_BYTES - 1, 21 * CHUNK_BYTES])
def test_chunk_of_another_size_is_our_bug(size_bytes: int) -> None:
    with pytest.raises(InvalidState, match=f"not {size_bytes}"):
        answered_server().send_media(bytes(size_bytes), AT)


def test_two_ends_back_to_back_understand_each_other() -> None:
    server, phone = DiallerServer(0.0), DiallerPhone()

    phone.connect({"callerId": "1", "did": "2", "callDirection": "outgoing"})
    phone.start("s")
    phone.answer()
    phone.send_media(b"\x01\x02")
    assert [type(event) for event in events_of(server, phone.outgoing())] == [
        Connected,
        Started,
        Answered,
        MediaReceived,
    ]

    server.send_media(bytes(range(160)) * 2, AT)
    server.stop_media()
    server.hang_up("bye")
    assert [event for text in server.outgoing() for event in phone.receive(text)] == [
        BotAudio(1, bytes(range(160)) * 2),
        BotStopped(),
        BotStopped(),
        BotHungUp("bye"),
    ]


def test_transfer_is_understood_at_the_other_end() -> None:
    server, phone = answered_server(), DiallerPhone()
    phone.connect({})
    phone.start("s")
    phone.answer()

    server.transfer("3", target="t", reason="r")

    assert [event for text in server.outgoing() for event in phone.receive(text)] == [
        BotStopped(),
        TransferAsked("3", "t", "r"),
    ]


def survives(messages: list[bytes | str]) -> None:
    """Feed messages; nothing but one `ProtocolError` may come out."""
    server = DiallerServer(0.0)
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
    survives([*INCOMING[:message], text + " " * MAX_MESSAGE_BYTES, *INCOMING[message:]])


@given(st.permutations(INCOMING))
def test_reordered_messages_break_nothing_else(messages: list[str]) -> None:
    survives(list(messages))


NASTY: list[Any] = [
    None,
    True,
    -1,
    8000,
    "8000",
    1.5,
    1e300,
    "",
    "A",
    "AAAA",
    "AAA=",
    [],
    [[]],
    {},
    {"": 0},
]
VALUES = st.sampled_from(NASTY) | st.text(max_size=8) | st.integers()
NAMES = ["connected", "start", "answer", "media", "hangup-call", "dtmf"]
FIELDS = ["callerId", "did", "callDirection", "streamId", "mediaFormat", "payload", "x"]


def message_of(event: str, fields: dict[str, Any]) -> str:
    return json.dumps({"event": event, **fields})


ANY_MESSAGE = st.one_of(
    st.sampled_from(INCOMING + vector("variants")),
    st.builds(
        message_of,
        st.sampled_from(NAMES),
        st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4),
    ),
    st.text(max_size=40),
    st.binary(max_size=8),
)


@settings(max_examples=500)
@given(st.lists(ANY_MESSAGE, max_size=5), st.integers(0, 3))
def test_nothing_but_protocol_error_comes_out(messages: list[bytes | str], spoken: int) -> None:
    survives([*HANDSHAKE[:spoken], *messages])
