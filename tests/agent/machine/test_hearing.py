"""Audio as windows with voice or without."""

from __future__ import annotations

import pytest

from agent.machine.hearing import Hearing
from agent.machine.voice import Window
from tests.fakes.greetings import RATE_HZ, sound, tone
from tests.fakes.speech import silence, utterance


def windows(pcm: bytes, rate_hz: int = RATE_HZ) -> list[Window]:
    hearing = Hearing(rate_hz)
    size = rate_hz // 50 * 2
    found = [w for at in range(0, len(pcm), size) for w in hearing.hear(pcm[at : at + size])]
    assert hearing.heard_s == pytest.approx(len(pcm) / 2 / rate_hz)
    return found


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 24_000])
def test_voice_is_told_from_silence(rate_hz: int) -> None:
    spoken = windows(utterance("Hello, this is Anna.", rate_hz), rate_hz)
    voiced = [window.end_s for window in spoken if window.is_voice]
    assert 0.25 <= voiced[0] <= 0.6
    assert len(voiced) * 0.032 == pytest.approx(1.3, abs=0.5)
    assert not any(window.is_voice for window in windows(silence(2.0, rate_hz), rate_hz))


def test_tone_is_no_voice_and_its_beep_is_told_once() -> None:
    heard = windows(silence(0.4) + tone(1000, 0.5) + silence(0.5))
    assert not any(window.is_voice for window in heard)
    assert any(window.is_tone for window in heard)
    [beep] = [window.beep for window in heard if window.beep is not None]
    assert beep.end_s == pytest.approx(0.9, abs=0.04)


def test_no_beep_is_lost_between_windows() -> None:
    for start_ms in range(300, 340, 8):
        pcm, _ = sound(f"{{{start_ms / 1000}}}{{1400Hz 0.3}}", tail_s=0.5)
        assert sum(window.beep is not None for window in windows(pcm)) == 1
