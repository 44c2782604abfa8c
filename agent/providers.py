"""From a bot's config to the engines of its session.

One function per kind, one branch per vendor; the vendors' own modules are in `agent.vendor`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession, APIConnectOptions, llm, stt, tts, vad
from livekit.agents.types import NOT_GIVEN
from livekit.agents.voice.agent_session import SessionConnectOptions
from livekit.agents.voice.turn import TurnHandlingOptions

from agent.speech.rules import RulesLLM
from agent.speech.stt import MoonshineSTT
from agent.speech.tts import HibariTTS
from agent.turn_end import TurnEnd
from agent.vad import PhoneVAD
from contracts.bot import BotConfig, LlmConfig, SttConfig, TtsConfig, TurnConfig, VadConfig
from contracts.plan import AgentPlan
from contracts.rules import RulesConfig
from contracts.vendor import complaints, ignored_options

OnIntent = Callable[[str, float, dict[str, Any]], None]

_MIN_INTERRUPTION_S = 0.05
_FALSE_INTERRUPTION_S = 0.4
"""How long after a voice fell silent without words the bot goes on with its line."""
_TRANSCRIPTION_S = 4.0
"""How long after speech its transcript may take before it counts as missed."""
PHONE_PATIENCE = SessionConnectOptions(
    stt_conn_options=APIConnectOptions(max_retry=2, retry_interval=0.5, timeout=4.0),
    llm_conn_options=APIConnectOptions(max_retry=1, retry_interval=0.2, timeout=5.0),
    tts_conn_options=APIConnectOptions(max_retry=1, retry_interval=0.2, timeout=4.0),
    max_unrecoverable_errors=2,
)
"""How long a caller is kept waiting for a vendor: the framework's own would add up to 40 s."""


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


@dataclass(slots=True)
class Engines:
    """What one call runs on; one by text has nothing that hears or speaks."""

    stt: stt.STT[Any] | None
    llm: llm.LLM[Any]
    tts: tts.TTS[Any] | None
    vad: vad.VAD | None
    turn_detection: Any
    rules: RulesConfig
    """The rules of a rules brain, and with them its declared tools; empty for other brains."""
    pipeline: dict[str, Any] = field(default_factory=dict)
    ignored_options: list[str] = field(default_factory=list)
    """What the bot asks of vendors that do not know it."""
    cleans_text: bool = True
    """Whether the session takes Markdown out of what is said; else the voice does it itself."""

    def takes_digits(self, digits: str) -> bool:
        """Return whether the brain need not wait for further keys after these."""
        return isinstance(self.llm, RulesLLM) and self.llm.takes_digits(digits)

    def on_final(self, text: str) -> None:
        """Let those who decide on the turn's end know what the caller said.

        Some words cannot be the last; and once there are words, any silence is worth a look.
        """
        if isinstance(self.turn_detection, TurnEnd):
            self.turn_detection.heard(text)
            if isinstance(self.vad, PhoneVAD):
                self.vad.await_end()

    def session(self, config: BotConfig) -> AgentSession[None]:
        """Return the session, with the options a telephone call needs."""
        return AgentSession(
            stt=self.stt or NOT_GIVEN,
            llm=self.llm,
            tts=self.tts or NOT_GIVEN,
            vad=self.vad,
            turn_handling=turn_handling(_turn(config), self.turn_detection),
            conn_options=PHONE_PATIENCE,
            use_tts_aligned_transcript=True,
            tts_text_transforms=NOT_GIVEN if self.cleans_text else [],
            # During its warm-up the STT would hear silence, and an early "hello" be lost.
            aec_warmup_duration=None,
            user_away_timeout=None,
            transcription_timeout=_TRANSCRIPTION_S,
            session_close_transcript_timeout=0.2,
        )

    async def aclose(self) -> None:
        """Hang up on the vendors."""
        for engine in (self.stt, self.llm, self.tts):
            if engine is not None:
                await engine.aclose()

    async def synthesize(self, text: str) -> AsyncIterator[rtc.AudioFrame]:
        """Yield a line's audio as it is made; nothing where nobody speaks."""
        if self.tts is None:
            return
        patience = PHONE_PATIENCE.tts_conn_options
        async with self.tts.synthesize(text, conn_options=patience) as stream:
            async for audio in stream:
                yield audio.frame


def turn_handling(config: TurnConfig, detection: Any) -> TurnHandlingOptions:
    """Return when turns end and what a voice over the bot does.

    The session's own word count stays off: it would wait for words before it pauses. `agent.bot`
    judges words instead, after the pause.
    """
    return TurnHandlingOptions(
        turn_detection=detection,
        endpointing={
            "mode": "fixed",
            # The turn model has had its silence before it was asked.
            "min_delay": config.min_delay_s if detection == "vad" else 0.0,
            "max_delay": config.max_delay_s,
        },
        interruption={
            "enabled": True,
            "mode": "vad",
            "min_duration": _MIN_INTERRUPTION_S,
            "min_words": 0,
            "resume_false_interruption": True,
            "false_interruption_timeout": _FALSE_INTERRUPTION_S,
        },
        preemptive_generation={"enabled": config.preemptive},
    )


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
    return Engines(
        stt=_stt(config.stt, plan.media_rate_hz),
        llm=_llm(config.llm, rules, plan, on_intent),
        tts=_tts(config.tts, plan.media_rate_hz),
        vad=_vad(config.vad, config.turn),
        turn_detection=_turn_detection(config.turn),
        rules=rules,
        pipeline={
            "stt": {"provider": config.stt.provider, "model": config.stt.model},
            "llm": {"provider": config.llm.provider, "model": config.llm.model},
            "tts": {"provider": config.tts.provider, "voice": config.tts.voice},
            "turn_detector": config.turn.detector,
        },
        ignored_options=ignored_options(config),
        cleans_text=config.tts.provider != "elevenlabs",
    )


def _writing_engines(plan: AgentPlan, on_intent: OnIntent) -> Engines:
    config = plan.config
    _require_usable(BotConfig(llm=config.llm))
    rules = RulesConfig.model_validate(config.llm.rules or {})
    return Engines(
        stt=None,
        llm=_llm(config.llm, rules, plan, on_intent),
        tts=None,
        vad=None,
        turn_detection="manual",
        rules=rules,
        pipeline={"llm": {"provider": config.llm.provider, "model": config.llm.model}},
        ignored_options=ignored_options(BotConfig(llm=config.llm)),
    )


def build_brain(config: LlmConfig) -> llm.LLM[Any]:
    """Return a language model outside of any call. A brain of rules is none.

    Raises:
        ConfigUnusable: it is not here, or lacks a key, a model or such.
    """
    _require_usable(BotConfig(llm=config))
    if config.provider != "openai":
        raise ProviderUnknown("llm", config.provider)
    from agent.vendor.openai import openai_llm

    return openai_llm(config, None)


def _require_usable(config: BotConfig) -> None:
    found = complaints(config)
    for each in found:
        kind, _, name = each.field.partition(".")
        if name == "provider":
            raise ProviderUnknown(kind, getattr(config, kind).provider)
    if found:
        message = "; ".join(f"{each.field}: {each.message}" for each in found)
        raise ConfigUnusable([each.field for each in found], message)


# The vendors' plug-ins are imported where they are used: a second and 32 MB that only the
# forkserver pays, once for all calls (`agent.vendor.preload`).


def _stt(config: SttConfig, rate_hz: int) -> stt.STT[Any]:
    if config.provider == "deepgram":
        from agent.vendor.deepgram import deepgram_stt

        return deepgram_stt(config, rate_hz)
    return MoonshineSTT(language=config.language)


def _llm(
    config: LlmConfig, rules: RulesConfig, plan: AgentPlan, on_intent: OnIntent
) -> llm.LLM[Any]:
    if config.provider == "openai":
        from agent.vendor.openai import openai_llm

        return openai_llm(config, plan.config.prompt_parts)
    return RulesLLM(
        rules,
        variables=plan.variables,
        timezone=plan.config.timezone,
        now=lambda: datetime.now(UTC),
        on_intent=on_intent,
    )


def _tts(config: TtsConfig, rate_hz: int) -> tts.TTS[Any]:
    if config.provider == "elevenlabs":
        from agent.vendor.elevenlabs import elevenlabs_tts

        return elevenlabs_tts(config, rate_hz)
    return HibariTTS()


def _vad(config: VadConfig, turn: TurnConfig) -> vad.VAD:
    # With a turn model a silence is only what makes it look, so it is told of early.
    end_s = config.stop_secs if turn.detector == "vad" else turn.min_delay_s
    return PhoneVAD(start_s=config.start_secs, end_s=end_s, threshold=config.confidence)


def _turn(config: BotConfig) -> TurnConfig:
    # The brain of rules tells intents as it answers, and an answer may be taken back.
    keeps = config.llm.provider != "rules"
    return config.turn if keeps else config.turn.model_copy(update={"preemptive": False})


def _turn_detection(config: TurnConfig) -> Any:
    return "vad" if config.detector == "vad" else TurnEnd()
