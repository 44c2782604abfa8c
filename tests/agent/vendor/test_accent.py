"""Voices that are told to speak another language."""

from __future__ import annotations

from typing import Any

import pytest

from agent.fallback.line_up import LineUp
from agent.fallback.tts import FallbackTTS
from agent.vendor.accent import change_voice
from contracts.bot import BotConfig
from tests.fakes.engines import ScriptedTTS

VOICES = {"hi": {"voice": "asha"}, "ta": {"language": "ta-IN"}}
OWN = {"voice": "anna", "language": "en"}


class Changed(ScriptedTTS):
    """Keeps what it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.told: list[dict[str, str]] = []
        self._refusal = error

    def update_options(self, **changes: str) -> None:
        self.told.append(changes)
        if self._refusal is not None:
            raise self._refusal


def config(provider: str, *fallbacks: dict[str, Any], model: str = "") -> BotConfig:
    return BotConfig.model_validate(
        {
            "tts": {"provider": provider, **OWN, "model": model, "fallbacks": list(fallbacks)},
            "manners": {"language": {"mode": "switch", "voices": VOICES}},
        }
    )


@pytest.mark.parametrize(
    ("provider", "language", "expected"),
    [
        ("elevenlabs", "hi", {"voice_id": "asha", "language": "hi"}),
        ("elevenlabs", "ta", {"language": "ta-IN"}),
        ("elevenlabs", "es", {"language": "es"}),
        ("elevenlabs", "en", {"voice_id": "anna", "language": "en"}),
        ("sarvam", "hi", {"speaker": "asha", "target_language_code": "hi-IN"}),
        ("sarvam", "en", {"speaker": "anna", "target_language_code": "en-IN"}),
    ],
)
def test_voice_and_language_are_those_of_the_map_or_the_bots_own(
    provider: str, language: str, expected: dict[str, str]
) -> None:
    voice = Changed()
    change_voice(voice, config(provider), language)
    assert voice.told == [expected]


def test_model_that_takes_no_language_is_told_none() -> None:
    voice = Changed()
    change_voice(voice, config("elevenlabs", model="eleven_multilingual_v2"), "hi")
    assert voice.told == [{"voice_id": "asha"}]


def test_voice_that_knows_one_language_or_refuses_is_left_as_it_is() -> None:
    voice = Changed()
    change_voice(voice, config("offline"), "hi")
    change_voice(None, config("elevenlabs"), "hi")
    assert voice.told == []
    stubborn = Changed(ValueError("no such language"))
    change_voice(stubborn, config("sarvam"), "xx")
    assert len(stubborn.told) == 1


async def test_fallbacks_follow_in_their_own_voices() -> None:
    first, second = Changed(), Changed()
    line_up = LineUp("tts", [("elevenlabs", first), ("sarvam", second)], cool_down_s=1)
    both = FallbackTTS(line_up, first_audio_s=1.5)  # type: ignore[arg-type]
    theirs = {"provider": "sarvam", "voice": "meera", "language": "en-IN"}
    bot = config("elevenlabs", theirs)
    change_voice(both, bot, "hi")
    change_voice(both, bot, "en")
    assert first.told[0] == {"voice_id": "asha", "language": "hi"}
    assert second.told == [
        {"target_language_code": "hi-IN"},
        {"speaker": "meera", "target_language_code": "en-IN"},
    ]
