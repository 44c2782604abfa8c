"""What a close frame may hold."""

from __future__ import annotations

import pytest
from websockets.frames import Close

from bridges.wire.close import MAX_REASON_BYTES, CloseCode, ProtocolError, close_reason


def test_protocol_error_carries_its_facts() -> None:
    error = ProtocolError(CloseCode.BAD_AUDIO, "payload: not base64")

    assert (error.close_code, error.reason) == (4422, "payload: not base64")
    assert str(error) == "bad_audio: payload: not base64"


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("short", "short"),
        ("x" * 200, "x" * MAX_REASON_BYTES),
        ("é" * 100, "é" * 61),
        ("\ud800", "?"),
    ],
)
def test_close_reason_fits_a_close_frame(text: str, cut: str) -> None:
    assert close_reason(text) == cut
    assert len(cut.encode()) <= MAX_REASON_BYTES


@pytest.mark.parametrize("code", CloseCode)
def test_every_code_may_be_sent(code: CloseCode) -> None:
    Close(code, "reason").check()
