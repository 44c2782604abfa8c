"""How a vendor's voice is told to speak another language from its next line on."""

from __future__ import annotations

from typing import Any

import structlog
from livekit.agents import tts

from agent.fallback.tts import FallbackTTS
from agent.manners.phrasebook import language_of
from contracts.bot import BotConfig
from contracts.engines import TtsConfig
from contracts.manners import Voice
from contracts.vendor.tts import ELEVENLABS_MODEL, sarvam_language, takes_language

log = structlog.get_logger(__name__)


def change_voice(voice: tts.TTS[Any] | None, config: BotConfig, language: str) -> None:
    """Have `voice` speak a language, in the voice that the bot has for it, where the vendor can.

    A voice's fallbacks keep their own sound.

    Args:
        voice: the bot's.
        config: the bot's.
        language: ISO 639.
    """
    voices = voice.line_up.engines if isinstance(voice, FallbackTTS) else [voice]
    first = config.manners.language.voices.get(language, Voice())
    for engine, own in zip(voices, [config.tts, *config.tts.fallbacks], strict=False):
        wanted = first if own is config.tts else Voice()
        if language == language_of(config):
            wanted = Voice(voice=own.voice, language=own.language)
        changes = _changes(own, wanted.voice, wanted.language or language)
        if engine is None or not changes:
            continue
        update: Any = engine
        try:
            update.update_options(**{name: value for name, value in changes.items() if value})
        except ValueError as error:
            # It says what it is given with the sounds that it knows.
            log.warning("voice not changed", provider=own.provider, error=type(error).__name__)


def _changes(own: TtsConfig, name: str, language: str) -> dict[str, str]:
    if own.provider == "elevenlabs":
        takes = takes_language(own.model or ELEVENLABS_MODEL)
        return {"voice_id": name, "language": language if takes else ""}
    if own.provider == "sarvam":
        return {"speaker": name, "target_language_code": sarvam_language(language)}
    return {}
