"""What vendors of voices take."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.engines import TtsConfig
from contracts.vendor.tts import (
    TTS,
    ElevenLabsOptions,
    SarvamOptions,
    sarvam_language,
    takes_language,
    tts_options,
)

ELEVENLABS = {"provider": "elevenlabs", "api_key": "k", "voice": "v"}
SARVAM = {"provider": "sarvam", "api_key": "k"}


def faults(config: dict[str, Any]) -> set[str]:
    tts = TtsConfig.model_validate(config)
    return {each.field for each in TTS[tts.provider](tts)}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"api_key": ""}, "tts.api_key"),
        ({"voice": ""}, "tts.voice"),
        ({"language": ""}, "tts.language"),
        ({"extra": {"speed": 9}}, "tts.extra.speed"),
    ],
)
def test_what_elevenlabs_cannot_do_is_named(changes: dict[str, Any], field: str) -> None:
    assert faults({**ELEVENLABS, **changes}) == {field}


def test_sound_choices_are_fine() -> None:
    assert faults(ELEVENLABS) == set()
    assert faults({"provider": "offline"}) == set()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"language": "en-IN", "voice": "heart"}, set()),
        ({"language": ""}, set()),
        ({"language": "hi"}, {"tts.language"}),
        ({"voice": "Rachel"}, {"tts.voice"}),
    ],
)
def test_offline_voice_is_one_and_speaks_english(changes: dict[str, Any], found: set[str]) -> None:
    assert faults({"provider": "offline", **changes}) == found


@pytest.mark.parametrize(
    ("model", "expected"), [("eleven_flash_v2_5", True), ("eleven_multilingual_v2", False)]
)
def test_language_code_is_for_models_that_take_one(model: str, expected: bool) -> None:
    assert takes_language(model) is expected


def test_offline_voice_has_no_options() -> None:
    assert tts_options(TtsConfig()) is None
    assert tts_options(TtsConfig(provider="elevenlabs")) is ElevenLabsOptions


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"api_key": ""}, "tts.api_key"),
        ({"language": "fr"}, "tts.language"),
        ({"language": "en-GB"}, "tts.language"),
        ({"language": ""}, "tts.language"),
        ({"extra": {"loudness": 9}}, "tts.extra.loudness"),
        ({"extra": {"temperature": 0.4}}, "tts.extra.temperature"),
        ({"model": "bulbul:v3", "extra": {"pitch": 0.1}}, "tts.extra.pitch"),
        ({"model": "bulbul:v3", "extra": {"pace": 2.5}}, "tts.extra.pace"),
    ],
)
def test_what_sarvam_cannot_do_is_named(changes: dict[str, Any], field: str) -> None:
    assert faults({**SARVAM, **changes}) == {field}


def test_sound_sarvam_choices_are_fine() -> None:
    assert faults(SARVAM) == set()
    assert faults({**SARVAM, "extra": {"pace": 2.5, "pitch": 0.1, "dict_id": None}}) == set()
    v3 = {"model": "bulbul:v3", "extra": {"pace": 1.5, "temperature": 0.4}}
    assert faults({**SARVAM, "language": "hi-IN", **v3}) == set()
    assert tts_options(TtsConfig.model_validate(SARVAM)) is SarvamOptions


def test_language_is_told_to_sarvam_with_its_country() -> None:
    assert (sarvam_language("hi"), sarvam_language("ta-IN")) == ("hi-IN", "ta-IN")
