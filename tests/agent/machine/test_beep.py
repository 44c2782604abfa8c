"""Beeps, and what only sounds like one."""

from __future__ import annotations

import numpy as np
import pytest

from agent.machine.beep import Beep, BeepDetector
from tests.fakes.greetings import RATE_HZ, sound, tone
from tests.fakes.speech import silence


def beeps_in(pcm: bytes, rate_hz: int = RATE_HZ) -> list[Beep]:
    detector = BeepDetector(rate_hz)
    size = rate_hz // 50 * 2
    return [beep for at in range(0, len(pcm), size) for beep in detector.hear(pcm[at : at + size])]


@pytest.mark.parametrize("hz", [400, 440, 620, 850, 1000, 1250, 1400, 1500, 2000, 2100])
@pytest.mark.parametrize("seconds", [0.16, 0.3, 1.0, 3.0])
def test_beep_of_a_mailbox_is_found_as_a_phone_hears_it(hz: int, seconds: float) -> None:
    pcm, _ = sound(f"{{0.5}}{{{hz}Hz {seconds}}}")
    [beep] = beeps_in(pcm)
    assert beep.hz == pytest.approx(hz, abs=8)
    assert beep.start_s == pytest.approx(0.5, abs=0.04)
    assert beep.end_s == pytest.approx(0.5 + seconds, abs=0.04)


def test_beep_is_found_at_other_rates() -> None:
    at = np.arange(24_000 * 4 // 10)
    wave = (6000 * np.sin(2 * np.pi * 1000 * at / 24_000)).astype("<i2").tobytes()
    pcm = silence(0.3, 24_000) + wave + silence(0.5, 24_000)
    assert [round(beep.hz) for beep in beeps_in(pcm, 24_000)] == [1000]


@pytest.mark.parametrize(
    "pcm",
    [
        b"".join(tone(hz, 0.3) for hz in (523, 659, 784)),
        b"".join(tone(hz, 0.25) + silence(0.12) for hz in (523, 659, 784)),
        b"".join(tone(hz, 0.33) for hz in (950, 1400, 1800)),
        tone(425, 1.0),
        tone(440, 0.3),
    ],
    ids=["melody", "staccato", "special information", "ringing", "call waiting"],
)
def test_tone_of_a_tune_or_of_the_network_is_no_plain_beep(pcm: bytes) -> None:
    *_, last = beeps_in(silence(0.3) + pcm + silence(0.5))
    assert not last.is_plain


def test_beep_of_a_mailbox_is_plain() -> None:
    assert [beep.is_plain for beep in beeps_in(tone(1000, 0.3) + silence(0.5))] == [True]


def test_beep_right_after_speech_is_found() -> None:
    pcm, _ = sound("{0.3}Please leave a message after the tone. {0.1}{1000Hz 0.3}")
    assert [round(beep.hz, -1) for beep in beeps_in(pcm)] == [1000]


def both(low_hz: float, high_hz: float, seconds: float) -> bytes:
    low, high = (np.frombuffer(tone(hz, seconds, level=4000), "<i2") for hz in (low_hz, high_hz))
    return bytes((low + high).tobytes())


@pytest.mark.parametrize(
    "pcm",
    [
        tone(1000, 0.1),
        tone(1000, 4.5),
        tone(1000, 0.4, level=80),
        tone(250, 0.4),
        both(697, 1209, 0.3),
        both(480, 620, 0.5),
        b"".join(tone(hz, 0.25) for hz in (523, 659, 784, 659, 523, 587, 698)) + tone(523, 0.1),
        (np.random.default_rng(2).normal(0, 3000, RATE_HZ)).astype("<i2").tobytes(),
    ],
    ids=["blip", "fax", "faint", "hum", "key", "engaged", "melody", "noise"],
)  # fmt: skip
def test_other_sound_is_no_beep(pcm: bytes) -> None:
    assert beeps_in(silence(0.3) + pcm + silence(0.5)) == []


@pytest.mark.parametrize(
    "said",
    [
        "Hello, this is the Johnson residence, who are you and what do you want from me?",
        "Ooh, who knew? Do you do two blue shoes? Moo! Too soon, you fool.",
        "Thank you for calling Bella Pizza, this is Tony, what can I get you today?",
    ],
)
def test_speech_is_no_beep(said: str) -> None:
    assert beeps_in(sound(said)[0]) == []
