"""Which vendors a bot may name, what each of them takes, and what is wrong with a bot's choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from contracts.bot import BotConfig, LlmConfig, SttConfig, TtsConfig

PROVIDERS = {
    "stt": ("offline", "deepgram"),
    "llm": ("rules", "openai"),
    "tts": ("offline", "elevenlabs"),
}
DEEPGRAM_MODEL = "nova-3"
ELEVENLABS_MODEL = "eleven_flash_v2_5"
MULTILINGUAL_MODELS = ("eleven_flash_v2_5", "eleven_turbo_v2_5", "eleven_v3", "eleven_v4")
"""ElevenLabs' models that take a language code, by how their names begin."""


class _Options(BaseModel):
    """A provider's `extra`. What it does not take is kept apart, to be told and not to be sent."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_null(cls, options: Any) -> Any:
        """An option that is null is one that was not set."""
        if not isinstance(options, dict):
            return options
        return {key: value for key, value in options.items() if value is not None}

    @property
    def ignored(self) -> list[str]:
        """The keys that this provider does not take."""
        return list(self.model_extra or {})


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Listed = Annotated[list[str], BeforeValidator(_listed)]
"""One text or several."""


class DeepgramOptions(_Options):
    """`stt.extra` for Deepgram's streaming models."""

    endpointing: int | bool = 25
    """Milliseconds of quiet that make a transcript final; `false` leaves it to the vendor."""
    interim_results: bool = True
    punctuate: bool = True
    smart_format: bool = False
    no_delay: bool = True
    filler_words: bool = True
    numerals: bool = False
    profanity_filter: bool = False
    redact: Listed = Field(default_factory=list)
    keyterm: Listed = Field(default_factory=list)
    mip_opt_out: bool = False

    @property
    def endpointing_ms(self) -> int:
        """What the plug-in is told: 0 switches it off."""
        if self.endpointing is True:
            return 25
        return int(self.endpointing)


class OpenAiOptions(_Options):
    """`llm.extra` for OpenAI and servers that speak its protocol."""

    top_p: float | None = Field(default=None, ge=0, le=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    seed: int | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    service_tier: str | None = None
    parallel_tool_calls: bool | None = None


class ElevenLabsOptions(_Options):
    """`tts.extra` for ElevenLabs: how the voice sounds, and how text becomes speech."""

    stability: float | None = Field(default=None, ge=0, le=1)
    similarity_boost: float | None = Field(default=None, ge=0, le=1)
    style: float | None = Field(default=None, ge=0, le=1)
    speed: float | None = Field(default=None, ge=0.7, le=1.2)
    use_speaker_boost: bool | None = None
    apply_text_normalization: Literal["auto", "on", "off"] = "auto"
    enable_logging: bool = True


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong with a bot's choice of vendors; `field` as `llm.extra.top_p`."""

    field: str
    message: str


def complaints(config: BotConfig) -> list[Complaint]:
    """Return why a bot's vendors cannot serve a call; empty where they can, as far as one sees."""
    return [*_of_stt(config.stt), *_of_llm(config.llm), *_of_tts(config.tts)]


def ignored_options(config: BotConfig) -> list[str]:
    """Return the options that a bot sets and its vendors do not know, as `llm.extra.top_k`.

    Raises:
        pydantic.ValidationError: an option's value is not one that the vendor takes.
    """
    ignored: list[str] = []
    if config.stt.provider == "deepgram":
        deepgram = DeepgramOptions.model_validate(config.stt.extra)
        ignored += [f"stt.extra.{key}" for key in deepgram.ignored]
    if config.llm.provider == "openai" and not config.llm.base_url:
        openai = OpenAiOptions.model_validate(config.llm.extra)
        ignored += [f"llm.extra.{key}" for key in openai.ignored]
    if config.tts.provider == "elevenlabs":
        elevenlabs = ElevenLabsOptions.model_validate(config.tts.extra)
        ignored += [f"tts.extra.{key}" for key in elevenlabs.ignored]
    return ignored


def takes_language(model: str) -> bool:
    """Whether a model of ElevenLabs' takes a language code."""
    return model.startswith(MULTILINGUAL_MODELS)


def _of_stt(stt: SttConfig) -> list[Complaint]:
    if stt.provider != "deepgram":
        return _unknown("stt", stt.provider)
    found = [*_without_key("stt", stt), *_bad_options("stt", DeepgramOptions, stt.extra)]
    if stt.model.startswith("flux"):
        found.append(Complaint("stt.model", "Flux models are not served; nova-3 is"))
    if not stt.language:
        found.append(Complaint("stt.language", "required, for example en, hi or multi"))
    if stt.extra.get("keyterm") and not (stt.model or DEEPGRAM_MODEL).startswith("nova-3"):
        found.append(Complaint("stt.extra.keyterm", "only Nova-3 models take key terms"))
    return found


def _of_llm(llm: LlmConfig) -> list[Complaint]:
    if llm.provider != "openai":
        return _unknown("llm", llm.provider)
    found = [*_without_key("llm", llm), *_bad_options("llm", OpenAiOptions, llm.extra)]
    if not llm.model:
        found.append(Complaint("llm.model", "required, for example gpt-4.1-mini"))
    return found


def _of_tts(tts: TtsConfig) -> list[Complaint]:
    if tts.provider != "elevenlabs":
        return _unknown("tts", tts.provider)
    found = [*_without_key("tts", tts), *_bad_options("tts", ElevenLabsOptions, tts.extra)]
    if not tts.voice:
        found.append(Complaint("tts.voice", "required: a voice id of ElevenLabs"))
    if not tts.language and takes_language(tts.model or ELEVENLABS_MODEL):
        found.append(Complaint("tts.language", "required by multilingual models"))
    return found


def _unknown(kind: str, provider: str) -> list[Complaint]:
    known = PROVIDERS[kind]
    if provider in known:
        return []
    words = ", ".join(known)
    return [Complaint(f"{kind}.provider", f"{provider!r} is unknown; there are: {words}")]


def _without_key(kind: str, config: SttConfig | LlmConfig | TtsConfig) -> list[Complaint]:
    # A server of one's own, at `base_url`, may ask for none.
    if config.api_key or config.base_url:
        return []
    return [Complaint(f"{kind}.api_key", f"required by {config.provider}")]


def _bad_options(kind: str, model: type[_Options], extra: dict[str, Any]) -> list[Complaint]:
    try:
        model.model_validate(extra)
    except ValidationError as error:
        return [
            Complaint(".".join((kind, "extra", *map(str, each["loc"]))), each["msg"])
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    return []
