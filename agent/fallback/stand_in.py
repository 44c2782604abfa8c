"""From a bot's choice of vendors, first and fallbacks, to the one engine that a session runs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from livekit.agents import llm, stt, tts

from agent.fallback.line_up import Closing, Kind, LineUp
from agent.fallback.llm import FallbackLLM
from agent.fallback.stt import FallbackSTT
from agent.fallback.tts import FallbackTTS
from agent.speech.tts import HibariTTS
from contracts.engines import LlmConfig, Resilience, SttConfig, TtsConfig
from contracts.vendor.stt import tells_turns

_NEVER_FAIL = frozenset({"offline", "rules"})
"""What runs in this very process: alone, they have nothing to be watched for."""

Part = TypeVar("Part", SttConfig, LlmConfig, TtsConfig)
E = TypeVar("E", bound=Closing)


def recogniser(
    part: SttConfig, make: Callable[[SttConfig], stt.STT[Any]], resilience: Resilience
) -> stt.STT[Any]:
    """Return what hears: one recogniser, or several in its shape."""
    if _is_safe(part):
        return make(part)
    line_up = _line_up("stt", [part, *part.fallbacks], make, resilience)
    judges = [
        engine
        for engine, each in zip(line_up.engines, (part, *part.fallbacks), strict=True)
        if tells_turns(each)
    ]
    return FallbackSTT(
        line_up,
        first_words_s=resilience.first_words_s,
        judges_turns=lambda engine: engine in judges,
    )


def brain(
    part: LlmConfig, make: Callable[[LlmConfig], llm.LLM[Any]], resilience: Resilience
) -> llm.LLM[Any]:
    """Return what thinks: one brain, or several in its shape."""
    if _is_safe(part):
        return make(part)
    return FallbackLLM(
        _line_up("llm", [part, *part.fallbacks], make, resilience),
        first_token_s=resilience.first_token_s,
    )


def voice(
    part: TtsConfig, make: Callable[[TtsConfig], tts.TTS[Any]], resilience: Resilience
) -> tts.TTS[Any]:
    """Return what speaks: one voice, or several in its shape."""
    if _is_safe(part):
        return make(part)
    return FallbackTTS(
        _line_up("tts", [part, *part.fallbacks], make, resilience),
        first_audio_s=resilience.first_audio_s,
        parting=HibariTTS(),
    )


def fallback_names(part: SttConfig | LlmConfig | TtsConfig) -> list[str]:
    """Return who stands in, for what a call ran on; no keys and no addresses."""
    return [_name(each) for each in part.fallbacks]


def line_up_of(engine: object) -> LineUp[Any] | None:
    """Return who stands behind an engine, where there may be several."""
    return engine.line_up if isinstance(engine, FallbackSTT | FallbackLLM | FallbackTTS) else None


def _line_up(
    kind: Kind,
    parts: Sequence[Part],
    make: Callable[[Part], E],
    resilience: Resilience,
) -> LineUp[E]:
    members = [(_name(part), make(part)) for part in parts]
    return LineUp(kind, members, cool_down_s=resilience.cool_down_s)


def _name(part: SttConfig | LlmConfig | TtsConfig) -> str:
    return f"{part.provider} {part.model}".strip()


def _is_safe(part: SttConfig | LlmConfig | TtsConfig) -> bool:
    return part.provider in _NEVER_FAIL
