"""A phone's timeline."""

from __future__ import annotations

from bridges.audio.ear import Ear

FRAME = b"\x01\x00" * 160


def test_audio_plays_from_its_arrival_or_after_what_still_plays() -> None:
    ear = Ear(started_at=10.0)

    ear.play(FRAME, 10.02)
    ear.play(FRAME, 10.03)

    assert ear.waveform() == bytes(320) + FRAME * 2


def test_clear_drops_what_is_not_played_yet() -> None:
    ear = Ear(started_at=10.0)
    for _ in range(5):
        ear.play(FRAME, 10.0)

    ear.clear(10.03)

    assert ear.waveform() == (FRAME * 5)[: 240 * 2]


def test_only_gaps_in_the_middle_of_speech_are_underruns() -> None:
    ear = Ear(started_at=10.0)
    ear.play(FRAME, 10.1)  # the first sound
    ear.play(FRAME, 10.125)  # hidden by the phone's clock
    ear.play(FRAME, 10.17)  # heard
    ear.play(FRAME, 11.0)  # the bot was silent

    assert ear.underruns == 1


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
