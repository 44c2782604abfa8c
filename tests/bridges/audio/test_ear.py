"""A phone's timeline."""

from __future__ import annotations

import struct

import pytest

from bridges.audio.ear import Ear

FRAME = struct.pack("<h", 2000) * 160
QUIET = bytes(320)


def test_audio_plays_from_its_arrival_or_after_what_still_plays() -> None:
    ear = Ear(started_at=10.0)

    ear.play(FRAME, 10.02)
    ear.play(FRAME, 10.03)

    assert ear.waveform() == bytes(320) + FRAME * 2


def test_clear_spares_the_message_that_plays_and_drops_the_rest() -> None:
    ear = Ear(started_at=10.0)
    for _ in range(5):
        ear.play(FRAME, 10.0)

    ear.clear(10.03)

    assert ear.waveform() == FRAME * 2


def test_clear_spares_a_long_message_to_its_end() -> None:
    ear = Ear(started_at=10.0)
    ear.play(FRAME * 10, 10.0)
    ear.play(FRAME * 10, 10.1)

    ear.clear(10.11)

    assert ear.waveform() == FRAME * 10


def test_clear_drops_what_still_waits_in_the_jitter_buffer() -> None:
    ear = Ear(started_at=10.0, jitter_buffer_s=0.1)
    ear.play(FRAME, 10.0)

    ear.clear(10.05)

    assert ear.waveform() == bytes(800)


def test_audio_after_a_clear_is_played_at_once() -> None:
    ear = Ear(started_at=10.0)
    ear.play(FRAME * 10, 10.0)
    ear.clear(10.3)

    assert ear.play(FRAME, 10.4) == 0.0
    assert ear.waveform() == FRAME * 10 + bytes(3200) + FRAME
    assert ear.underruns == 0


def test_only_gaps_in_the_middle_of_speech_are_underruns() -> None:
    ear = Ear(started_at=10.0)
    ear.play(FRAME, 10.1)  # the first sound
    assert ear.play(FRAME, 10.125) == pytest.approx(0.005)  # hidden by the phone's clock
    assert ear.play(FRAME, 10.17) == pytest.approx(0.025)  # heard
    assert ear.play(FRAME, 12.0) == 0.0  # the bot was silent

    assert ear.underruns == 1


@pytest.mark.parametrize(("before", "after"), [(QUIET, FRAME), (FRAME, QUIET)])
def test_gap_beside_a_pause_is_none(before: bytes, after: bytes) -> None:
    ear = Ear(started_at=10.0)
    ear.play(before, 10.0)

    assert ear.play(after, 10.05) == 0.0
    assert ear.underruns == 0


def test_jitter_buffer_bridges_what_would_be_a_gap() -> None:
    ear = Ear(started_at=10.0, jitter_buffer_s=0.1)
    ear.play(FRAME, 10.0)
    for number in range(1, 5):
        ear.play(FRAME, 10.0 + number * 0.02)
    ear.play(FRAME, 10.15)

    assert ear.underruns == 0


def test_clear_before_the_start_leaves_nothing() -> None:
    ear = Ear(started_at=10.0)
    ear.play(FRAME, 10.0)

    ear.clear(9.0)

    assert ear.waveform() == b""
