"""The recogniser itself, on speech made by the offline voice."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import numpy as np
import pytest

from agent.speech.moonshine import RATE_HZ, Moonshine, Samples, WeightsMissing, load_moonshine
from agent.speech.moonshine import weights_path as find_weights
from voicefleet.caller_voice import speak


def samples(text: str) -> Samples:
    pcm = np.frombuffer(speak(text, RATE_HZ), np.int16)
    return np.divide(pcm, 32_768, dtype=np.float32)


def test_words_are_understood_with_confidence() -> None:
    decoded = load_moonshine().decode(samples("I would like to book an appointment."))
    assert decoded.text.lower().rstrip(".,") == "i would like to book an appointment"
    assert 0.5 < decoded.confidence <= 1.0


def test_model_is_loaded_once() -> None:
    assert load_moonshine() is load_moonshine()


def test_stopped_decode_returns_what_it_has() -> None:
    stop = Event()
    stop.set()
    assert load_moonshine().decode(samples("Good morning to you all."), stop).text == ""


@pytest.mark.parametrize("size", [0, 1, 100, 1600])
def test_any_short_length_is_decoded(size: int) -> None:
    load_moonshine().decode(np.zeros(size, np.float32))


def test_audio_longer_than_nine_seconds_is_decoded() -> None:
    """The mask must have the raw audio's length: with the encoder's the model crashes from 9 s."""
    silence = np.zeros(RATE_HZ * 8, np.float32)
    decoded = load_moonshine().decode(np.concatenate([samples("Hello there."), silence]))
    assert "hello" in decoded.text.lower()


def test_noise_cannot_make_the_model_talk_for_ever() -> None:
    noise = np.random.default_rng(7).normal(0, 0.3, RATE_HZ).astype(np.float32)
    assert len(load_moonshine().decode(noise).text.split()) <= 15


def test_missing_weights_name_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsMissing) as caught:
        find_weights()
    assert caught.value.path.name == "tiny-en"


def test_package_of_the_weights_is_not_imported() -> None:
    import sys

    Moonshine(find_weights())
    assert "moonshine_voice" not in sys.modules
