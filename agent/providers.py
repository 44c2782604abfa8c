"""From a bot's config to the engines of its session.

One function per kind, one branch per vendor; the vendors' own modules are in `agent.vendor`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from livekit.agents import llm, stt, tts, vad

from agent.engines import Engines
from agent.fallback import stand_in
from agent.pronounce import Pronunciations
from agent.speech.rules import RulesLLM
from agent.speech.stt import MoonshineSTT
from agent.speech.tts import HibariTTS
from agent.turn_end import TurnEnd
from agent.vad import PhoneVAD
from agent.vendor.prompt_cache import PromptCache
from contracts.bot import BotConfig
from contracts.engines import (
    LlmConfig,
    PromptParts,
    RealtimeConfig,
    SttConfig,
    TtsConfig,
    TurnConfig,
    VadConfig,
)
from contracts.plan import AgentPlan
from contracts.rules import RulesConfig
from contracts.vendor.choice import complaints, ignored_options
from contracts.vendor.stt import detector_of, is_flux

if TYPE_CHECKING:
    from agent.vendor.gemini_live import GeminiLive
    from agent.vendor.openai_realtime import OpenAiRealtime

OnIntent = Callable[[str, float, dict[str, Any]], None]


class ConfigUnusable(Exception):
    """A bot's vendors cannot be run; the message names the fields, never their values.

    Attributes:
        fields: what is wrong, as `llm.api_key`.
    """

    def __init__(self, fields: list[str], message: str) -> None:
        super().__init__(message)
        self.fields = fields


class ProviderUnknown(ConfigUnusable):
    """A bot names an engine this worker does not have.

    Attributes:
        kind: `stt`, `llm` or `tts`.
        provider: what the bot named.
    """

    def __init__(self, kind: str, provider: str) -> None:
        message = f"{kind}.provider {provider!r} is not known to this worker"
        super().__init__([f"{kind}.provider"], message)
        self.kind = kind
        self.provider = provider


def build_engines(plan: AgentPlan, on_intent: OnIntent) -> Engines:
    """Return the engines a plan asks for.

    Raises:
        ConfigUnusable: an engine that the bot names is not here, or lacks a key, a model or such.
        pydantic.ValidationError: the rules of a `rules` brain are malformed.
    """
    config = plan.config
    if plan.text_only:
        return _writing_engines(plan, on_intent)
    _require_usable(config)
    rules = RulesConfig.model_validate(config.llm.rules or {})
    if config.runtime_mode == "realtime" and config.realtime is not None:
        return _realtime_engines(plan, config.realtime, rules)
    prompt_cache = _prompt_cache(config)
    turn = config.turn.model_copy(update={"detector": detector_of(config.turn, config.stt)})
    return Engines(
        stt=_recogniser(plan, drives=turn.detector == "stt"),
        llm=_brain(plan, on_intent, prompt_cache),
        tts=_voice(plan),
        vad=_vad(config.vad, turn),
        turn_detection=_turn_detection(turn),
        rules=rules,
        pipeline={
            "stt": _told(config.stt, "model"),
            "llm": _told(config.llm, "model"),
            "tts": _told(config.tts, "voice"),
            "turn_detector": turn.detector,
        },
        ignored_options=ignored_options(config),
        cleans_text=_cleans_text(config),
        pronunciations=_pronunciations(config),
        prompt_cache=prompt_cache,
    )


def _realtime_engines(plan: AgentPlan, chosen: RealtimeConfig, rules: RulesConfig) -> Engines:
    config = plan.config
    # What is called the recogniser's own judgement is the model's here: it is what hears.
    judges_turns = config.turn.detector == "stt"
    turn = config.turn
    if turn.detector == "auto":
        turn = turn.model_copy(update={"detector": "v1-mini"})
    model = _realtime(chosen, judges_turns=judges_turns)
    heard = {"stt": _told(config.stt, "model")}
    return Engines(
        stt=None if judges_turns else _recogniser(plan),
        llm=model,
        tts=_voice(plan),
        vad=None if judges_turns else _vad(config.vad, turn),
        turn_detection="realtime_llm" if judges_turns else _turn_detection(turn),
        rules=rules,
        pipeline={
            "realtime": {
                "provider": chosen.provider,
                "model": model.model,
                "voice": chosen.voice,
            },
            **({} if judges_turns else heard),
            "tts": _told(config.tts, "voice"),
            "turn_detector": chosen.provider if judges_turns else turn.detector,
        },
        ignored_options=ignored_options(config),
        realtime=model,
        cleans_text=_cleans_text(config),
        pronunciations=_pronunciations(config),
    )


def _writing_engines(plan: AgentPlan, on_intent: OnIntent) -> Engines:
    config = plan.config
    _require_usable(BotConfig(llm=config.llm))
    rules = RulesConfig.model_validate(config.llm.rules or {})
    prompt_cache = _prompt_cache(config)
    return Engines(
        stt=None,
        llm=_brain(plan, on_intent, prompt_cache),
        tts=None,
        vad=None,
        turn_detection="manual",
        rules=rules,
        pipeline={"llm": _told(config.llm, "model")},
        ignored_options=ignored_options(BotConfig(llm=config.llm)),
        prompt_cache=prompt_cache,
    )


def build_brain(config: LlmConfig, prompt: PromptParts | None = None) -> llm.LLM[Any]:
    """Return a language model outside of any call. A brain of rules is none.

    Args:
        config: which.
        prompt: how its vendor keeps the prompt, where it does.

    Raises:
        ConfigUnusable: it is not here, or lacks a key, a model or such.
    """
    _require_usable(BotConfig(llm=config))
    if config.provider == "rules":
        raise ProviderUnknown("llm", config.provider)
    return _vendors_llm(config, prompt, PromptCache.of(prompt))


def _require_usable(config: BotConfig) -> None:
    found = complaints(config)
    for each in found:
        kind, _, name = each.field.partition(".")
        if name == "provider":
            raise ProviderUnknown(kind, getattr(config, kind).provider)
    if found:
        message = "; ".join(f"{each.field}: {each.message}" for each in found)
        raise ConfigUnusable([each.field for each in found], message)


def _recogniser(plan: AgentPlan, *, drives: bool = False) -> stt.STT[Any]:
    def make(part: SttConfig) -> stt.STT[Any]:
        return _stt(part, plan.media_rate_hz, drives=drives)

    return stand_in.recogniser(plan.config.stt, make, plan.config.resilience)


def _brain(plan: AgentPlan, on_intent: OnIntent, cache: PromptCache | None) -> llm.LLM[Any]:
    def make(part: LlmConfig) -> llm.LLM[Any]:
        # What a vendor keeps is the first choice's.
        own_cache = cache if part is plan.config.llm else None
        return _llm(part, plan, on_intent, own_cache)

    return stand_in.brain(plan.config.llm, make, plan.config.resilience)


def _voice(plan: AgentPlan) -> tts.TTS[Any]:
    def make(part: TtsConfig) -> tts.TTS[Any]:
        return _tts(part, plan.media_rate_hz)

    return stand_in.voice(plan.config.tts, make, plan.config.resilience)


def _told(part: SttConfig | LlmConfig | TtsConfig, name: str) -> dict[str, Any]:
    """Return what a call's result says of one of its engines."""
    told: dict[str, Any] = {"provider": part.provider, name: getattr(part, name)}
    return {**told, "fallbacks": stand_in.fallback_names(part)} if part.fallbacks else told


def _cleans_text(config: BotConfig) -> bool:
    return any(each.provider == "offline" for each in (config.tts, *config.tts.fallbacks))


# The vendors' plug-ins are imported where they are used: a second and 32 MB that only the
# forkserver pays, once for all calls (`agent.vendor.preload`).


def _stt(config: SttConfig, rate_hz: int, *, drives: bool = False) -> stt.STT[Any]:
    """Return the recogniser; `drives`: where a turn ends is left to it."""
    if is_flux(config):
        from agent.vendor.flux import flux_stt

        return flux_stt(config, rate_hz)
    if config.provider == "soniox":
        from agent.vendor.soniox import soniox_stt

        return soniox_stt(config, rate_hz)
    if config.provider == "deepgram":
        from agent.vendor.deepgram import deepgram_stt

        return deepgram_stt(config, rate_hz, ends_turns=drives)
    return MoonshineSTT(language=config.language, driven=not drives)


def _llm(
    config: LlmConfig,
    plan: AgentPlan,
    on_intent: OnIntent,
    cache: PromptCache | None = None,
) -> llm.LLM[Any]:
    if config.provider != "rules":
        return _vendors_llm(config, plan.config.prompt_parts, cache)
    return RulesLLM(
        RulesConfig.model_validate(config.rules or {}),
        variables=plan.variables,
        timezone=plan.config.timezone,
        now=lambda: datetime.now(UTC),
        on_intent=on_intent,
    )


def _pronunciations(config: BotConfig) -> Pronunciations:
    return Pronunciations(config.pronunciation, config.tts.language)


def _prompt_cache(config: BotConfig) -> PromptCache | None:
    """Return the prompt that the first choice's vendor keeps: another's model has no use for it."""
    is_kept = config.llm.provider in ("google", "google_vertex")
    return PromptCache.of(config.prompt_parts) if is_kept else None


def _vendors_llm(
    config: LlmConfig, prompt: PromptParts | None, cache: PromptCache | None
) -> llm.LLM[Any]:
    if config.provider == "google":
        from agent.vendor.google import google_llm

        return google_llm(config, cache)
    if config.provider == "google_vertex":
        from agent.vendor.google import vertex_llm

        return vertex_llm(config, cache)
    from agent.vendor.openai import openai_llm

    return openai_llm(config, prompt)


def _tts(config: TtsConfig, rate_hz: int) -> tts.TTS[Any]:
    if config.provider == "elevenlabs":
        from agent.vendor.elevenlabs import elevenlabs_tts

        return elevenlabs_tts(config, rate_hz)
    if config.provider == "sarvam":
        from agent.vendor.sarvam import sarvam_tts

        return sarvam_tts(config, rate_hz)
    return HibariTTS()


def _realtime(config: RealtimeConfig, *, judges_turns: bool) -> OpenAiRealtime | GeminiLive:
    if config.provider == "google":
        from agent.vendor.gemini_live import gemini_live

        return gemini_live(config, judges_turns=judges_turns)
    from agent.vendor.openai_realtime import openai_realtime

    return openai_realtime(config, judges_turns=judges_turns)


def _vad(config: VadConfig, turn: TurnConfig) -> vad.VAD:
    # With a turn model a silence is only what makes it look, so it is told of early.
    end_s = config.stop_secs if turn.detector == "vad" else turn.min_delay_s
    return PhoneVAD(start_s=config.start_secs, end_s=end_s, threshold=config.confidence)


def _turn_detection(config: TurnConfig) -> Any:
    return TurnEnd() if config.detector == "v1-mini" else config.detector
