"""The engines of one call, and the session that runs on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession, APIConnectOptions, llm, stt, tts, vad
from livekit.agents.types import NOT_GIVEN
from livekit.agents.voice.agent_session import SessionConnectOptions
from livekit.agents.voice.turn import TurnHandlingOptions

from agent.fallback.line_up import LineUp
from agent.fallback.stand_in import line_up_of
from agent.fallback.stt import FallbackSTT
from agent.fallback.tts import FallbackTTS
from agent.pronounce import Pronunciations
from agent.realtime import RealtimeEngine
from agent.speech.rules import RulesLLM
from agent.turn_end import TurnEnd
from agent.vad import PhoneVAD
from agent.vendor.accent import change_voice
from agent.vendor.prompt_cache import PromptCache
from agent.vigil import Notice
from contracts.bot import BotConfig
from contracts.engines import TurnConfig
from contracts.rules import RulesConfig

_MIN_INTERRUPTION_S = 0.05
_TRANSCRIPTION_S = 4.0
"""How long after speech its transcript may take before it counts as missed."""
PHONE_PATIENCE = SessionConnectOptions(
    stt_conn_options=APIConnectOptions(max_retry=2, retry_interval=0.5, timeout=4.0),
    llm_conn_options=APIConnectOptions(max_retry=1, retry_interval=0.2, timeout=5.0),
    tts_conn_options=APIConnectOptions(max_retry=1, retry_interval=0.2, timeout=4.0),
    max_unrecoverable_errors=2,
)
"""How long a caller is kept waiting: the framework's own would add up to 40 s. It holds for engines
in this process; what vendors may take is for `agent.fallback` to say."""


@dataclass(slots=True)
class Engines:
    """What one call runs on; one by text has nothing that hears or speaks."""

    stt: stt.STT[Any] | None
    llm: llm.LLM[Any] | llm.RealtimeModel
    tts: tts.TTS[Any] | None
    vad: vad.VAD | None
    turn_detection: Any
    rules: RulesConfig
    """The rules of a rules brain, and with them its declared tools; empty for other brains."""
    pipeline: dict[str, Any] = field(default_factory=dict)
    ignored_options: list[str] = field(default_factory=list)
    """What the bot asks of vendors that do not know it."""
    realtime: RealtimeEngine | None = None
    """The model once more, where it hears and speaks by itself."""
    cleans_text: bool = True
    """Whether the session takes Markdown out of what is said; else the voice does it itself."""
    prompt_cache: PromptCache | None = None
    """A prompt that the language model's vendor keeps."""
    pronunciations: Pronunciations = field(default_factory=Pronunciations)
    """How lines are said."""
    has_changed_voice: bool = False
    """Whether the voice speaks another language than it began with."""

    @property
    def line_ups(self) -> list[LineUp[Any]]:
        """Those of its engines for which others may stand in."""
        found = (line_up_of(engine) for engine in (self.stt, self.llm, self.tts))
        return [each for each in found if each is not None]

    def follow_switches(self, notice: Notice) -> None:
        """Tell from now on when one engine takes another's place."""
        for line_up in self.line_ups:
            line_up.listener = lambda switched: notice("provider_switched", **switched.detail)

    def voice(self, is_speaking: bool) -> None:
        """The caller's voice began or ended: a recogniser is expected to find words in it."""
        if isinstance(self.stt, FallbackSTT):
            self.stt.voice(is_speaking)

    def part(self, is_parting: bool) -> None:
        """What is said from now on is the call's last, or is not: see `FallbackTTS`."""
        if isinstance(self.tts, FallbackTTS):
            self.tts.is_parting = is_parting

    @property
    def is_mute(self) -> bool:
        """Whether nobody could say the last line."""
        return isinstance(self.tts, FallbackTTS) and self.tts.is_lost

    def change_voice(self, config: BotConfig, language: str) -> None:
        """Speak another language from the next line on."""
        self.has_changed_voice = True
        change_voice(self.tts, config, language)

    def speaks_itself(self) -> bool:
        """Return whether the bot's own voice speaks as it was set, and no other for it."""
        if self.has_changed_voice:
            return False
        line_up = line_up_of(self.tts)
        return line_up is None or line_up.current is line_up.members[0]

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
            turn_handling=turn_handling(
                _turn(config), self.turn_detection, config.manners.false_interruption.resume_after_s
            ),
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
        spoken = self.pronunciations.of(text)
        async with self.tts.synthesize(spoken, conn_options=patience) as stream:
            async for audio in stream:
                yield audio.frame


def turn_handling(
    config: TurnConfig, detection: Any, resume_after_s: float = 0.4
) -> TurnHandlingOptions:
    """Return when turns end and what a voice over the bot does.

    The session's own word count stays off: it would wait for words before it pauses. After the
    pause `agent.etiquette` judges words, or cuts the bot off without any, where its bot wants that.
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
            "false_interruption_timeout": resume_after_s,
        },
        preemptive_generation={"enabled": config.preemptive},
    )


def _turn(config: BotConfig) -> TurnConfig:
    # The brain of rules tells intents as it answers, and an answer may be taken back.
    keeps = config.llm.provider != "rules"
    return config.turn if keeps else config.turn.model_copy(update={"preemptive": False})
