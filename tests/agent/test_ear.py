"""When a voice ends and begins, by its energy."""

from __future__ import annotations

import numpy as np
import pytest

from agent.ear import LOUD_RMS, Ear, onset

RATE_HZ = 8000
PACKET = RATE_HZ // 25


def tone(duration_ms: int, rms: float = 3000.0, rate_hz: int = RATE_HZ) -> bytes:
    times = np.arange(duration_ms * rate_hz // 1000) / rate_hz
    return (rms * 2**0.5 * np.sin(2 * np.pi * 400 * times)).astype("<i2").tobytes()


def quiet(duration_ms: int, noise_rms: float = 0.0, rate_hz: int = RATE_HZ) -> bytes:
    samples = duration_ms * rate_hz // 1000
    noise = np.random.default_rng(7).normal(0.0, noise_rms, samples) if noise_rms else 0.0
    return (np.zeros(samples) + noise).astype("<i2").tobytes()


def mix(*sides: bytes) -> bytes:
    stacked = np.stack([np.frombuffer(side, "<i2") for side in sides])
    mixed: bytes = stacked.sum(axis=0).astype("<i2").tobytes()
    return mixed


def heard(pcm: bytes, *, late_ms: dict[int, float] | None = None, start_ms: float = 0.0) -> Ear:
    """Return an ear that got `pcm` in 40 ms packets, some of them late."""
    ear = Ear(RATE_HZ)
    for number, start in enumerate(range(0, len(pcm), 2 * PACKET)):
        piece = pcm[start : start + 2 * PACKET]
        ended_ms = start_ms + 1000 * (start + len(piece)) / 2 / RATE_HZ
        ear.hear(piece, ended_ms + (late_ms or {}).get(number, 0.0))
    return ear


def test_speech_ends_with_its_last_sound() -> None:
    ear = heard(quiet(200) + tone(330) + quiet(600), start_ms=5000)
    assert ear.speech_end(9999) == pytest.approx(5530, abs=10)


def test_silence_never_ends() -> None:
    assert heard(quiet(1000)).speech_end(9999) is None
    assert Ear(RATE_HZ).speech_end(9999) is None


def test_only_what_came_before_counts() -> None:
    ear = heard(tone(200) + quiet(400) + tone(200) + quiet(400))
    assert ear.speech_end(9999) == pytest.approx(800, abs=10)
    assert ear.speech_end(590) == pytest.approx(200, abs=10)


def test_sound_that_goes_on_has_no_end() -> None:
    ear = heard(tone(200) + quiet(400) + tone(500) + quiet(400))
    assert ear.speech_end(900) is None


def test_pause_between_syllables_is_no_end() -> None:
    ear = heard(tone(100) + quiet(40) + tone(100) + quiet(400))
    assert ear.speech_end(9999) == pytest.approx(240, abs=10)
    assert ear.speech_end(120) is None


def test_click_is_no_speech_but_a_last_consonant_is() -> None:
    click = heard(tone(300) + quiet(600) + tone(10) + quiet(400))
    assert click.speech_end(9999) == pytest.approx(300, abs=10)
    consonant = heard(tone(300) + quiet(80) + tone(10) + quiet(400))
    assert consonant.speech_end(9999) == pytest.approx(390, abs=10)


def test_noise_of_the_line_is_not_the_caller() -> None:
    line = quiet(3000, noise_rms=400)
    said = quiet(1000) + tone(500, 4000) + quiet(1500)
    assert heard(mix(line, said)).speech_end(9999) == pytest.approx(1500, abs=20)


def test_noise_as_loud_as_speech_leaves_the_end_unknown() -> None:
    assert heard(quiet(3000, noise_rms=3000)).speech_end(2500) is None


def test_late_packet_is_corrected_by_those_that_follow() -> None:
    said = tone(400) + quiet(600)
    stalled = dict.fromkeys(range(8, 11), 150.0)
    assert heard(said, late_ms=stalled).speech_end(9999) == pytest.approx(400, abs=10)


def test_caller_who_sends_nothing_while_silent_is_timed_by_what_was_sent() -> None:
    ear = Ear(RATE_HZ)
    ear.hear(tone(200), 1000)
    ear.hear(b"", 1500)
    ear.hear(quiet(40), 3000)
    assert ear.speech_end(9999) == pytest.approx(1000, abs=10)


def test_packets_need_not_be_whole_windows() -> None:
    ear, pcm = Ear(RATE_HZ), tone(300) + quiet(300)
    for start in range(0, len(pcm), 354):
        piece = pcm[start : start + 354]
        ear.hear(piece, 1000 * (start + len(piece)) / 2 / RATE_HZ)
    assert ear.speech_end(9999) == pytest.approx(300, abs=10)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
def test_onset_is_the_first_sound(rate_hz: int) -> None:
    pcm = quiet(120, rate_hz=rate_hz) + tone(50, rate_hz=rate_hz)
    assert onset(pcm, rate_hz) == rate_hz * 120 // 1000
    assert onset(quiet(500, rate_hz=rate_hz), rate_hz) is None
    assert onset(b"", rate_hz) is None


def test_sound_below_the_threshold_is_silence() -> None:
    assert onset(tone(100, LOUD_RMS / 2), RATE_HZ) is None
