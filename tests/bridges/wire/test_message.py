"""Messages and their fields, variant by variant."""

from __future__ import annotations

import json

import pytest

from bridges.wire.close import CloseCode, ProtocolError
from bridges.wire.message import (
    MAX_DEPTH,
    MAX_EVENT_CHARS,
    MAX_MESSAGE_BYTES,
    MAX_NUMBER_CHARS,
    MAX_TEXT_CHARS,
    coerce_number,
    coerce_text,
    decode_audio,
    encode_audio,
    malformed,
    parse_message,
    require_encodable,
    serialize_message,
)


def sized_message(size_bytes: int, character: str = "x") -> str:
    empty = len('{"event":"media","payload":""}')
    return '{"event":"media","payload":"%s"}' % (
        character * ((size_bytes - empty) // len(character.encode()))
    )


def refusal(data: bytes | str) -> ProtocolError:
    with pytest.raises(ProtocolError) as raised:
        parse_message(data)
    return raised.value


def test_message_becomes_event_name_and_all_fields() -> None:
    assert parse_message('{"event":"answer","at":1}') == ("answer", {"event": "answer", "at": 1})


def test_binary_frame_is_refused() -> None:
    error = refusal(b'{"event":"answer"}')

    assert error.close_code is CloseCode.BINARY_FRAME
    assert error.reason == "expected a text frame, got a binary one"


@pytest.mark.parametrize("character", ["x", "é"])
def test_message_at_the_limit_passes_and_one_above_is_refused(character: str) -> None:
    at_limit = sized_message(MAX_MESSAGE_BYTES, character)
    assert len(at_limit.encode()) == MAX_MESSAGE_BYTES
    parse_message(at_limit)

    error = refusal(at_limit + " ")
    assert error.close_code is CloseCode.TOO_BIG
    assert error.reason == f"message of {MAX_MESSAGE_BYTES + 1} bytes, limit {MAX_MESSAGE_BYTES}"


@pytest.mark.parametrize("text", ["", "{", "hello", '{"event":NaN}', "[" * 50_000, "1" * 5_000])
def test_text_that_is_not_json_is_refused(text: str) -> None:
    error = refusal(text)

    assert (error.close_code, error.reason) == (CloseCode.MALFORMED, "message is not JSON")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "message: expected an object, got list"),
        ("{}", "event: expected a name of 1 to 64 characters, got nothing"),
        ('{"event":7}', "event: expected a name of 1 to 64 characters, got int"),
        ('{"event":""}', "event: expected a name of 1 to 64 characters, got str"),
    ],
)
def test_json_that_is_no_message_is_refused(text: str, reason: str) -> None:
    assert refusal(text).reason == reason


def test_event_name_is_limited() -> None:
    parse_message(json.dumps({"event": "e" * MAX_EVENT_CHARS}))

    assert refusal(json.dumps({"event": "e" * (MAX_EVENT_CHARS + 1)})).close_code == 4400


def test_serialized_message_is_compact_and_ascii() -> None:
    assert serialize_message({"event": "x", "message": "é"}) == '{"event":"x","message":"\\u00e9"}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("+10000000001", "+10000000001"),
        (" 10 ", "10"),
        (10000000001, "10000000001"),
        (None, ""),
        ("x" * MAX_TEXT_CHARS, "x" * MAX_TEXT_CHARS),
    ],
)
def test_text_is_coerced_from_what_diallers_send(value: object, text: str) -> None:
    assert coerce_text({"callerId": value}, "callerId") == text


def test_missing_text_is_empty() -> None:
    assert coerce_text({}, "callerId") == ""


@pytest.mark.parametrize("value", [True, 1.5, [], {}, "x" * (MAX_TEXT_CHARS + 1), "\ud800"])
def test_other_text_is_refused(value: object) -> None:
    with pytest.raises(ProtocolError, match="callerId"):
        coerce_text({"callerId": value}, "callerId")


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (8000, 8000),
        (8000.0, 8000),
        ("8000", 8000),
        (" 8000 ", 8000),
        ("8000.0", None),
        ("-1", None),
        ("", None),
        ("9" * (MAX_NUMBER_CHARS + 1), None),
        (8000.5, None),
        (float("inf"), None),
        (float("nan"), None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_number_is_coerced_from_what_diallers_send(value: object, number: int | None) -> None:
    assert coerce_number(value) == number


@pytest.mark.parametrize("pcm", [b"", b"\x01\x02", bytes(range(256)), bytes(320)])
def test_audio_survives_the_way_there_and_back(pcm: bytes) -> None:
    assert decode_audio({"payload": encode_audio(pcm)}) == pcm


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (None, CloseCode.MALFORMED),
        (7, CloseCode.MALFORMED),
        ("AAA", CloseCode.BAD_AUDIO),
        ("A A=", CloseCode.BAD_AUDIO),
        ("é", CloseCode.BAD_AUDIO),
        ("AAAA", CloseCode.BAD_AUDIO),
    ],
)
def test_other_audio_is_refused(payload: object, code: CloseCode) -> None:
    with pytest.raises(ProtocolError) as raised:
        decode_audio({"payload": payload})

    assert raised.value.close_code is code


def test_error_text_holds_types_not_contents() -> None:
    assert malformed("did", "text", "+10000000001").reason == "did: expected text, got str"


def test_unencodable_values_are_refused_at_any_depth() -> None:
    endless: list[object] = []
    for _ in range(100_000):
        endless = [endless]

    require_encodable({"a": [1, 2.5, "é", None, {"b": True}]}, "connected")
    for value in ({"a": ["\ud800"]}, {"\ud800": 1}, [float("inf")], endless):
        with pytest.raises(ProtocolError, match=r"connected: (holds text|nested deeper)"):
            require_encodable(value, "connected")


def test_abyss_is_refused() -> None:
    shallow: object = "bottom"
    for _ in range(MAX_DEPTH - 1):
        shallow = [shallow]
    require_encodable(shallow, "connected")

    with pytest.raises(ProtocolError, match="nested deeper"):
        require_encodable({"a": [shallow]}, "connected")
