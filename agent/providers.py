"""From a bot's config to the engines of its session.

One function per kind, one branch per vendor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession, llm, stt, tts, vad
from livekit.agents.voice.turn import TurnHandlingOptions

from agent.speech.rules import RulesLLM
from agent.speech.stt import MoonshineSTT
from agent.speech.tts import HibariTTS
from agent.turn_end import TurnEnd
from agent.vad import PhoneVAD
from contracts.bot import BotConfig, LlmConfig, SttConfig, TtsConfig, TurnConfig, VadConfig
from contracts.plan import AgentPlan
from contracts.rules import RulesConfig

OnIntent = Callable[[str, float, dict[str, Any]], None]

_MIN_INTERRUPTION_S = 0.05
_FALSE_INTERRUPTION_S = 0.4
"""How long after a voice fell silent without words the bot goes on with its line."""


class ProviderUnknown(Exception):
    """A bot names an engine this worker does not have.

    Attributes:
        kind: `stt`, `llm` or `tts`.
        provider: what the bot named.
    """

    def __init__(self, kind: str, provider: str) -> None:
        super().__init__(f"{kind}.provider {provider!r} is not known to this worker")
        self.kind = kind
        self.provider = provider


@dataclass(slots=True)
class Engines:
    """What one call runs on."""

    stt: stt.STT[Any]
    llm: llm.LLM[Any]
    tts: tts.TTS[Any]
    vad: vad.VAD | None
    turn_detection: Any
    rules: RulesConfig
    """The rules of a rules brain, and with them its declared tools; empty for other brains."""
    pipeline: dict[str, Any] = field(default_factory=dict)

    def session(self, config: BotConfig) -> AgentSession[None]:
        """Return the session, with the options a telephone call needs."""
        return AgentSession(
            stt=self.stt,
            llm=self.llm,
            tts=self.tts,
            vad=self.vad,
            turn_handling=turn_handling(config.turn, self.turn_detection),
            use_tts_aligned_transcript=True,
            # During its warm-up the STT would hear silence, and an early "hello" be lost.
            aec_warmup_duration=None,
            user_away_timeout=None,
            session_close_transcript_timeout=0.2,
        )

    async def synthesize(self, text: str) -> AsyncIterator[rtc.AudioFrame]:
        """Yield a line's audio as it is made."""
        async with self.tts.synthesize(text) as stream:
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
            "min_delay": config.min_delay_s,
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
        preemptive_generation={"enabled": False},
    )


def build_engines(plan: AgentPlan, on_intent: OnIntent) -> Engines:
    """Return the engines a plan asks for.

    Raises:
        ProviderUnknown: the bot names an engine that is not here.
        pydantic.ValidationError: the rules of a `rules` brain are malformed.
    """
    config = plan.config
    rules = RulesConfig.model_validate(config.llm.rules or {})
    return Engines(
        stt=_stt(config.stt),
        llm=_llm(config.llm, rules, plan, on_intent),
        tts=_tts(config.tts),
        vad=_vad(config.vad, config.turn),
        turn_detection=_turn_detection(config.turn),
        rules=rules,
        pipeline={
            "stt": {"provider": config.stt.provider, "model": config.stt.model},
            "llm": {"provider": config.llm.provider, "model": config.llm.model},
            "tts": {"provider": config.tts.provider, "voice": config.tts.voice},
            "turn_detector": config.turn.detector,
        },
    )


def _stt(config: SttConfig) -> stt.STT[Any]:
    match config.provider:
        case "offline":
            return MoonshineSTT(language=config.language)
        case unknown:
            raise ProviderUnknown("stt", unknown)


def _llm(
    config: LlmConfig, rules: RulesConfig, plan: AgentPlan, on_intent: OnIntent
) -> llm.LLM[Any]:
    match config.provider:
        case "rules":
            return RulesLLM(
                rules,
                variables=plan.variables,
                timezone=plan.config.timezone,
                now=lambda: datetime.now(UTC),
                on_intent=on_intent,
            )
        case unknown:
            raise ProviderUnknown("llm", unknown)


def _tts(config: TtsConfig) -> tts.TTS[Any]:
    match config.provider:
        case "offline":
            return HibariTTS()
        case unknown:
            raise ProviderUnknown("tts", unknown)


def _vad(config: VadConfig, turn: TurnConfig) -> vad.VAD:
    # With a turn model a silence is only what makes it look, so it is told of early.
    end_s = config.stop_secs if turn.detector == "vad" else turn.min_delay_s
    return PhoneVAD(start_s=config.start_secs, end_s=end_s, threshold=config.confidence)


def _turn_detection(config: TurnConfig) -> Any:
    return "vad" if config.detector == "vad" else TurnEnd()
