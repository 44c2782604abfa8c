"""What a bot hears, thinks and speaks with, and when it takes a caller to have finished."""

from __future__ import annotations

from typing import Any, Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from contracts import template
from contracts.open import Open
from contracts.rules import RulesConfig

MAX_FALLBACKS = 4


class SttConfig(Open):
    """Speech to text."""

    provider: str = "offline"
    api_key: str = ""
    model: str = ""
    language: str = "en"
    base_url: str = ""
    """Where the vendor's API is, if not at its own place: a server of one's own (ours)."""
    extra: dict[str, Any] = Field(default_factory=dict)
    fallbacks: list[SttConfig] = Field(default_factory=list, max_length=MAX_FALLBACKS)
    """Other recognisers for when this one fails, in this order: whole configs (ours)."""

    @field_validator("fallbacks")
    @classmethod
    def _flat(cls, fallbacks: list[SttConfig]) -> list[SttConfig]:
        return _not_nested(fallbacks)


class LlmConfig(Open):
    """The brain. `provider: rules` needs no key; its rules stand in `rules` (docs/rules.md)."""

    provider: str = "rules"
    api_key: str = ""
    model: str = ""
    temperature: float = 0.7
    max_tokens: int = 256
    base_url: str = ""
    """Any server that speaks the vendor's protocol (ours)."""
    extra: dict[str, Any] = Field(default_factory=dict)
    fallbacks: list[LlmConfig] = Field(default_factory=list, max_length=MAX_FALLBACKS)
    """Other brains for when this one fails, in this order: whole configs (ours)."""
    rules: dict[str, Any] | None = None

    @field_validator("rules")
    @classmethod
    def _rules_hold(cls, rules: dict[str, Any] | None) -> dict[str, Any] | None:
        # Kept as written: an operator gets back what they saved, not every default beside it.
        if rules is not None:
            RulesConfig.model_validate(rules)
        return rules

    @field_validator("fallbacks")
    @classmethod
    def _flat(cls, fallbacks: list[LlmConfig]) -> list[LlmConfig]:
        return _not_nested(fallbacks)


class TtsConfig(Open):
    """Text to speech."""

    provider: str = "offline"
    api_key: str = ""
    model: str = ""
    voice: str = ""
    language: str = "en"
    base_url: str = ""
    """Where the vendor's API is, if not at its own place (ours)."""
    extra: dict[str, Any] = Field(default_factory=dict)
    fallbacks: list[TtsConfig] = Field(default_factory=list, max_length=MAX_FALLBACKS)
    """Other voices for when this one fails, in this order: whole configs (ours)."""

    @field_validator("fallbacks")
    @classmethod
    def _flat(cls, fallbacks: list[TtsConfig]) -> list[TtsConfig]:
        return _not_nested(fallbacks)


class PromptParts(Open):
    """A prompt in two parts, so that the vendor can cache the first (the family's)."""

    mode: Literal["legacy", "direct"] = "legacy"
    cache_enabled: bool = False
    static_system_prompt: str = ""
    dynamic_runtime_prompt: str = ""
    static_version: str = ""
    prompt_cache_key: str = ""
    prompt_cache_retention: Literal["", "in_memory", "24h"] = ""
    cached_content: str = Field(default="", max_length=500)
    """Google's name of the kept static prompt, tools included; its owner makes and renews it
    (ours)."""

    @property
    def is_live(self) -> bool:
        """Whether the parts stand in for `system_prompt`."""
        return self.mode == "direct" and self.cache_enabled

    @property
    def is_empty(self) -> bool:
        """Whether they stand in for it with nothing."""
        texts = (self.static_system_prompt, self.dynamic_runtime_prompt, self.cached_content)
        return self.is_live and not any(text.strip() for text in texts)


class VadConfig(Open):
    """Voice activity: the family's keys, with defaults for telephone speech and LiveKit's VAD."""

    confidence: float = Field(default=0.5, gt=0, lt=1)
    start_secs: float = Field(default=0.05, ge=0, le=2)
    stop_secs: float = Field(default=0.25, ge=0.1, le=5)
    min_volume: float = Field(default=0.0, ge=0, le=1)


class TurnConfig(Open):
    """When a caller's turn is over (ours)."""

    detector: Literal["auto", "v1-mini", "stt", "vad"] = "auto"
    """The bundled model, the recogniser's own judgement, or silence alone.

    `auto`: the recogniser's own where it is made to judge, as Flux and Soniox are, else the model.
    """
    min_delay_s: float = Field(default=0.12, ge=0.06, le=5)
    """Silence before the turn model is asked first; with `vad`, before a turn is over at least."""
    max_delay_s: float = Field(default=1.2, ge=0, le=10)
    preemptive: bool = False
    """Whether an answer is begun on the words of a turn that may go on; not with `rules`.

    Costs tokens where it does go on: docs/decisions/turn-end.md.
    """

    @model_validator(mode="after")
    def _looks_before_it_ends(self) -> Self:
        if self.min_delay_s > self.max_delay_s:
            raise ValueError(
                f"min_delay_s ({self.min_delay_s:g}) must be at most max_delay_s "
                f"({self.max_delay_s:g})"
            )
        return self


class RealtimeConfig(Open):
    """A model that hears and speaks by itself, for `runtime_mode: realtime` (ours)."""

    provider: str = "openai"
    api_key: str = ""
    model: str = ""
    voice: str = ""
    language: str = ""
    """A hint, where the vendor takes one: the model hears what is spoken."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    base_url: str = ""
    opening: Literal["tts", "model"] = "tts"
    """Who says the opening message: the bot's `tts`, word for word and at once, or the model."""
    answer_s: float = Field(default=5.0, ge=1, le=30)
    """How long a caller waits for the model's first sound before it is connected and asked anew."""
    extra: dict[str, Any] = Field(default_factory=dict)


class Resilience(Open):
    """How long an engine may keep a caller waiting, and what follows the last one (ours)."""

    first_words_s: float = Field(default=1.5, gt=0, le=30)
    """From the end of what a caller said to its first words; where the recogniser gives interim
    ones, from half a second after they began."""
    first_token_s: float = Field(default=2.5, gt=0, le=30)
    """From the request to the first word or tool call of the brain's, and from one to the next."""
    first_audio_s: float = Field(default=1.5, gt=0, le=30)
    """How much silence the voice may owe in a line: before its first sound and within it."""
    cool_down_s: float = Field(default=30.0, ge=0, le=3600)
    """How long an engine that failed is passed over; twice as long each time it fails again."""
    apology_message: str = "I'm sorry, I have technical trouble at the moment."
    """Said in a voice that was kept, or the offline one: the bot's own may be what failed."""
    when_lost: Literal["transfer", "goodbye"] = "transfer"
    """What follows the apology: the usual transfer where the bot and the line have one, else the
    call ends."""

    @field_validator("apology_message")
    @classmethod
    def _same_for_all(cls, message: str) -> str:
        # It is kept as audio, long before anybody needs it.
        if template.has_tokens(message):
            raise ValueError("an apology holds no {{variables}}")
        return message


def _not_nested(fallbacks: list[_Config]) -> list[_Config]:
    if any(each.fallbacks for each in fallbacks):
        raise ValueError("a fallback has no fallbacks of its own")
    return fallbacks


_Config = TypeVar("_Config", SttConfig, LlmConfig, TtsConfig)
