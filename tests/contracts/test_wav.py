"""The WAV of recordings: read by the standard library, cut anywhere, and nothing else taken."""

from __future__ import annotations

import io
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.wav import FRAME_BYTES, HEADER_BYTES, MAX_FRAMES, Wav

WHOLE = Wav(8000, 3).header() + bytes(range(12))


def test_header_is_what_a_player_reads() -> None:
    with wave.open(io.BytesIO(WHOLE)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        assert file.readframes(10) == bytes(range(12))
    assert Wav(8000, 3).size_bytes == len(WHOLE)
    assert Wav(8000, 4000).duration_s == 0.5


@given(cut=st.integers(HEADER_BYTES, len(WHOLE)), told=st.integers(0, 1000))
def test_file_holds_its_whole_frames_whatever_its_header_says(cut: int, told: int) -> None:
    head = Wav(8000, told).header()
    assert Wav.parse(head, cut) == Wav(8000, (cut - HEADER_BYTES) // FRAME_BYTES)


def test_no_more_frames_are_told_than_the_format_can_name() -> None:
    found = Wav.parse(Wav(8000, 0).header(), 2**33)
    assert found.frames == MAX_FRAMES
    assert found.header()


@pytest.mark.parametrize(
    "head",
    [
        WHOLE[:43],
        b"RIFX" + WHOLE[4:],
        WHOLE[:22] + b"\1" + WHOLE[23:],
        Wav(0, 1).header(),
    ],
)
def test_something_else_is_no_recording(head: bytes) -> None:
    with pytest.raises(ValueError, match=r"WAV|PCM"):
        Wav.parse(head, 100)
