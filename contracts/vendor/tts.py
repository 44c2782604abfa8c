"""Vendors of voices: what each takes, and what is wrong with a bot's choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from contracts.engines import TtsConfig
from contracts.vendor.option import (
    Complaint,
    Options,
    bad_options,
    offline_language,
    without_key,
)

OFFLINE_VOICE = "heart"
ELEVENLABS_MODEL = "eleven_flash_v2_5"
MULTILINGUAL_MODELS = ("eleven_flash_v2_5", "eleven_turbo_v2_5", "eleven_v3", "eleven_v4")
"""ElevenLabs' models that take a language code, by how their names begin."""


SARVAM_MODEL = "bulbul:v2"
SARVAM_LANGUAGES = ("bn", "en", "gu", "hi", "kn", "ml", "mr", "od", "pa", "ta", "te")
_SARVAM_V2_ALONE = ("pitch", "loudness", "enable_preprocessing", "enable_cached_responses")
_SARVAM_V3_ALONE = ("temperature", "dict_id")
_SARVAM_V3_PACE = (0.5, 2.0)


class ElevenLabsOptions(Options):
    """`tts.extra` for ElevenLabs: how the voice sounds, and how text becomes speech."""

    stability: float | None = Field(default=None, ge=0, le=1)
    similarity_boost: float | None = Field(default=None, ge=0, le=1)
    style: float | None = Field(default=None, ge=0, le=1)
    speed: float | None = Field(default=None, ge=0.7, le=1.2)
    use_speaker_boost: bool | None = None
    apply_text_normalization: Literal["auto", "on", "off"] = "auto"
    enable_logging: bool = True


class SarvamOptions(Options):
    """`tts.extra` for Sarvam: how the voice sounds. What is not said is for both generations."""

    pace: float = Field(default=1.0, ge=0.3, le=3)
    """How fast; `bulbul:v3` takes 0.5 to 2."""
    pitch: float = Field(default=0.0, ge=-0.75, le=0.75)
    """`bulbul:v2` alone, as are the three below."""
    loudness: float = Field(default=1.0, ge=0.5, le=2)
    enable_preprocessing: bool = False
    """Whether numbers, dates and mixed scripts are spelt out first; `bulbul:v3` always does."""
    enable_cached_responses: bool | None = None
    temperature: float = Field(default=0.6, ge=0.01, le=2)
    """`bulbul:v3` alone, as is the next."""
    dict_id: str | None = None
    """A dictionary of pronunciations."""


def sarvam_language(language: str) -> str:
    """Return a language as Sarvam wants it: `hi-IN` of `hi`."""
    return language if "-" in language else f"{language}-IN"


def takes_language(model: str) -> bool:
    """Whether a model of ElevenLabs' takes a language code."""
    return model.startswith(MULTILINGUAL_MODELS)


def _of_elevenlabs(tts: TtsConfig) -> list[Complaint]:
    found = [*without_key("tts", tts), *bad_options("tts", ElevenLabsOptions, tts.extra)]
    if not tts.voice:
        found.append(Complaint("tts.voice", "required: a voice id of ElevenLabs"))
    if not tts.language and takes_language(tts.model or ELEVENLABS_MODEL):
        found.append(Complaint("tts.language", "required by multilingual models"))
    return found


def _of_sarvam(tts: TtsConfig) -> list[Complaint]:
    found = [*without_key("tts", tts), *bad_options("tts", SarvamOptions, tts.extra)]
    language, _, region = sarvam_language(tts.language).partition("-")
    if language not in SARVAM_LANGUAGES or region != "IN":
        found.append(Complaint("tts.language", f"Sarvam speaks {', '.join(SARVAM_LANGUAGES)}"))
    model = tts.model or SARVAM_MODEL
    foreign = _SARVAM_V3_ALONE if model == SARVAM_MODEL else _SARVAM_V2_ALONE
    found += [
        Complaint(f"tts.extra.{name}", f"{model} does not take it")
        for name in foreign
        if tts.extra.get(name) is not None
    ]
    pace, (slowest, fastest) = tts.extra.get("pace"), _SARVAM_V3_PACE
    if model != SARVAM_MODEL and isinstance(pace, int | float) and not slowest <= pace <= fastest:
        found.append(Complaint("tts.extra.pace", f"{model} takes {slowest} to {fastest}"))
    return found


def _of_offline(tts: TtsConfig) -> list[Complaint]:
    found = offline_language("tts", tts.language)
    if tts.voice not in ("", OFFLINE_VOICE):
        found.append(Complaint("tts.voice", f"offline has one voice, {OFFLINE_VOICE!r}"))
    return found


TTS: dict[str, Callable[[TtsConfig], list[Complaint]]] = {
    "offline": _of_offline,
    "elevenlabs": _of_elevenlabs,
    "sarvam": _of_sarvam,
}
"""Every provider, and what looks for faults in a bot's choice of it."""


def tts_options(tts: TtsConfig) -> type[Options] | None:
    """Return the model of a choice's `extra`; None where anything goes."""
    models: dict[str, type[Options]] = {"elevenlabs": ElevenLabsOptions, "sarvam": SarvamOptions}
    return models.get(tts.provider)
