"""The dialler's own fields, variant by variant."""

from __future__ import annotations

import pytest

from bridges.wire.close import CloseCode, ProtocolError
from bridges.wire.dialler_message import coerce_direction, require_linear_8k_mono


@pytest.mark.parametrize(
    ("value", "direction"),
    [
        ("incoming", "incoming"),
        ("Inbound", "incoming"),
        (None, "incoming"),
        ("OUTGOING", "outgoing"),
        ("outbound", "outgoing"),
    ],
)
def test_direction_is_coerced_from_what_diallers_send(value: object, direction: str) -> None:
    assert coerce_direction({"callDirection": value}) == direction


def test_other_direction_is_refused() -> None:
    with pytest.raises(ProtocolError, match="callDirection: expected incoming or outgoing"):
        coerce_direction({"callDirection": "sideways"})


@pytest.mark.parametrize(
    "media_format",
    [
        None,
        {},
        {"encoding": "LINEAR", "sampleRate": 8000, "channels": 1},
        {"encoding": "linear16", "sampleRate": "8000", "channels": "1", "bitRate": 128},
    ],
)
def test_the_one_format_is_accepted_in_its_variants(media_format: object) -> None:
    require_linear_8k_mono({"mediaFormat": media_format})


@pytest.mark.parametrize(
    ("media_format", "code"),
    [
        ("LINEAR", CloseCode.MALFORMED),
        ({"encoding": "MULAW"}, CloseCode.BAD_FORMAT),
        ({"encoding": None}, CloseCode.BAD_FORMAT),
        ({"sampleRate": 16000}, CloseCode.BAD_FORMAT),
        ({"channels": 2}, CloseCode.BAD_FORMAT),
    ],
)
def test_other_formats_are_refused(media_format: object, code: CloseCode) -> None:
    with pytest.raises(ProtocolError, match="mediaFormat") as raised:
        require_linear_8k_mono({"mediaFormat": media_format})

    assert raised.value.close_code is code
