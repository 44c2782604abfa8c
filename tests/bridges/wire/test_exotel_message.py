"""Fields of Exotel's messages, spelling by spelling."""

from __future__ import annotations

from typing import Any

import pytest

from bridges.wire.close import CloseCode, ProtocolError
from bridges.wire.exotel_message import (
    MAX_PARAMETERS,
    StreamFormat,
    first_of,
    part_of,
    read_format,
    read_parameters,
    text_of,
)


@pytest.mark.parametrize(
    ("media_format", "url_rate", "expected"),
    [
        (None, "", StreamFormat(8000)),
        ({}, "24000", StreamFormat(24000)),
        ({"encoding": "raw", "sample_rate": "8000", "bit_rate": "16"}, "", StreamFormat(8000)),
        ({"encoding": "audio/x-raw", "sample_rate": 16000}, "8000", StreamFormat(16000)),
        ({"encoding": "LINEAR16", "sampleRate": "24000"}, "", StreamFormat(24000)),
        ({"encoding": "audio/L16;rate=16000"}, "8000", StreamFormat(16000)),
        ({"encoding": "mulaw", "sample_rate": ""}, "", StreamFormat(8000, is_mu_law=True)),
        ({"encoding": "audio/x-mulaw;rate=8000"}, "", StreamFormat(8000, is_mu_law=True)),
    ],
)
def test_format_is_read_in_all_its_spellings(
    media_format: object, url_rate: str, expected: StreamFormat
) -> None:
    assert read_format({"media_format": media_format}, url_rate) == expected


@pytest.mark.parametrize(
    ("media_format", "code", "reason"),
    [
        ("raw", CloseCode.MALFORMED, "media_format: expected an object, got str"),
        ({"encoding": "opus"}, CloseCode.BAD_FORMAT, "linear PCM or mu-law"),
        ({"sample_rate": 11025}, CloseCode.BAD_FORMAT, "expected 8000, 16000 or 24000"),
        ({"sample_rate": "fast"}, CloseCode.BAD_FORMAT, "expected 8000, 16000 or 24000"),
        ({"encoding": "mulaw", "sample_rate": 16000}, CloseCode.BAD_FORMAT, "expected 8000"),
    ],
)
def test_other_formats_are_refused(media_format: object, code: CloseCode, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason) as raised:
        read_format({"media_format": media_format}, "")

    assert raised.value.close_code is code


def test_audio_goes_to_its_payload_and_back() -> None:
    linear, mu_law = StreamFormat(), StreamFormat(8000, is_mu_law=True)

    assert linear.pcm_of(linear.payload_of(b"\x01\x02")) == b"\x01\x02"
    assert mu_law.pcm_of(mu_law.payload_of(b"\0\0\x8c\x01")) == b"\0\0\x8c\x01"
    assert (linear.pcm_bytes(320), mu_law.pcm_bytes(320)) == (320, 640)
    with pytest.raises(ProtocolError, match="odd number of bytes"):
        linear.pcm_of(b"\0")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"custom_parameters": None}, {}),
        ({"custom_parameters": []}, {}),
        ({"custom_parameters": ""}, {}),
        ({"custom_parameters": {"a": "b"}}, {"a": "b"}),
        ({"custom_parameters": {"token": "hunter2", "sample-rate": "8000", "a": "b"}}, {"a": "b"}),
        ({"customParameters": {"a": 1}}, {"a": 1}),
    ],
)
def test_parameters_may_be_missing(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read_parameters(fields) == expected


@pytest.mark.parametrize(
    "parameters",
    ["a=b", ["a"], {"a": "\ud800"}, {f"p{n}": n for n in range(MAX_PARAMETERS + 1)}],
)
def test_other_parameters_are_refused(parameters: object) -> None:
    with pytest.raises(ProtocolError, match="custom_parameters"):
        read_parameters({"custom_parameters": parameters})


def test_own_object_has_the_last_word() -> None:
    assert part_of({"digit": "1"}, "dtmf")["digit"] == "1"
    assert part_of({"digit": "1", "dtmf": {"digit": "2"}}, "dtmf")["digit"] == "2"
    with pytest.raises(ProtocolError, match="dtmf: expected an object, got str"):
        part_of({"dtmf": "1"}, "dtmf")


def test_first_spelling_that_says_something_counts() -> None:
    fields = {"stream_sid": "", "streamSid": "s", "name": 7}

    assert text_of(fields, "stream_sid", "streamSid") == "s"
    assert text_of(fields, "call_sid") == ""
    assert (first_of(fields, "call_sid", "name"), first_of(fields, "call_sid")) == (7, None)
