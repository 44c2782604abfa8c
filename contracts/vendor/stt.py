"""Vendors of recognition: what each takes, and what is wrong with a bot's choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, field_validator

from contracts.engines import SttConfig, TurnConfig
from contracts.vendor.option import (
    Complaint,
    Listed,
    Options,
    bad_options,
    offline_language,
    without_key,
)

DEEPGRAM_MODEL = "nova-3"
FLUX_ENGLISH, FLUX_MULTILINGUAL = "flux-general-en", "flux-general-multi"
FLUX_LANGUAGES = ("de", "en", "es", "fr", "hi", "it", "ja", "nl", "pt", "ru")
"""What Deepgram's multilingual Flux model understands."""
FLUX_EOT_THRESHOLD = 0.7
"""The vendor's own, where a bot sets none."""
_WORDS_END_MS, _TURN_END_MS = 25, 300
SONIOX_MODEL = "stt-rt-v4"
SEVERAL = ("", "multi")
"""A `language` that names none: whichever is spoken."""


_REDACTED = frozenset((
    "pci", "pii", "phi", "numbers", "aggressive_numbers", "true",
    "account_number", "age", "bank_account", "blood_type", "condition", "credit_card",
    "credit_card_expiration", "cvv", "date", "date_interval", "dob", "driver_license", "drug",
    "email_address", "event", "filename", "gender_sexuality", "healthcare_number", "injury",
    "ip_address", "language", "location", "location_address", "location_city",
    "location_coordinate", "location_country", "location_state", "location_zip",
    "marital_status", "medical_process", "money", "name", "name_family", "name_given",
    "name_medical_professional", "numerical_pii", "occupation", "organization", "origin",
    "passport_number", "password", "phone_number", "physical_attribute",
    "political_affiliation", "religion", "routing_number", "ssn", "statistics", "time", "url",
    "username", "vehicle_id", "zodiac_sign",
))  # fmt: skip
"""What Deepgram takes out of a transcript: groups of entities first, then one by one."""


class DeepgramOptions(Options):
    """`stt.extra` for Deepgram's streaming models."""

    endpointing: int | bool = True
    """Milliseconds of quiet that make a transcript final; `true` for what suits who ends turns."""
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

    @field_validator("endpointing")
    @classmethod
    def _a_time_or_a_word(cls, endpointing: int | bool) -> int | bool:
        if endpointing < 0:
            raise ValueError("milliseconds, 0 at least, or true or false")
        return endpointing

    @field_validator("redact")
    @classmethod
    def _redactable(cls, redact: list[str]) -> list[str]:
        if not _REDACTED.issuperset(redact):
            raise ValueError("pci, pii, phi, numbers, aggressive_numbers or the names of entities")
        return redact

    def endpointing_ms(self, *, ends_turns: bool = False) -> int:
        """Return what the plug-in is told: 0 switches it off.

        Args:
            ends_turns: whether a final transcript ends the caller's turn.
        """
        if self.endpointing is True:
            return _TURN_END_MS if ends_turns else _WORDS_END_MS
        return int(self.endpointing)


class FluxOptions(Options):
    """`stt.extra` for Deepgram's Flux models, which tell where a turn ends."""

    eot_threshold: float | None = Field(default=None, ge=0.5, le=0.9)
    """How sure the model must be that a turn is over."""
    eager_eot_threshold: float | None = Field(default=None, ge=0.3, le=0.9)
    """From where on an answer may be begun before that; not set: none is."""
    eot_timeout_ms: int | None = Field(default=None, ge=500, le=60_000)
    """Quiet that ends a turn however unsure the model is."""
    keyterm: Listed = Field(default_factory=list)
    language_hints: Listed = Field(default_factory=list)
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    """Turns whose words are less sure than this on average are taken for noise (ours to judge)."""
    should_interrupt: bool = True
    """Whether what is said over the bot cuts it off; else it is answered after the line (ours)."""
    numerals: bool = False
    profanity_filter: bool = False
    mip_opt_out: bool = False


class SonioxOptions(Options):
    """`stt.extra` for Soniox."""

    language_hints: Listed = Field(default_factory=list)
    """Not set: the config's `language`, where it names one."""
    language_hints_strict: bool = False
    context: str | dict[str, Any] | None = None
    """Words to expect: a text, or the vendor's object of `general`, `text`, `terms` and such."""
    enable_speaker_diarization: bool = False
    enable_language_identification: bool = True
    client_reference_id: str | None = None
    max_endpoint_delay_ms: int = Field(default=1000, ge=500, le=3000)
    """Quiet that ends a turn at the latest."""
    vad_force_turn_endpoint: bool = False
    """Whether our voice detector says where speech ends, instead of the vendor."""


def is_flux(stt: SttConfig) -> bool:
    """Whether a config names one of Deepgram's Flux models, by its provider or by the model."""
    return stt.provider == "deepgram_flux" or (
        stt.provider == "deepgram" and stt.model.startswith("flux")
    )


def flux_model(stt: SttConfig) -> str:
    """Return the Flux model of a config; where it names none, the one for its language."""
    if stt.model:
        return stt.model
    return FLUX_ENGLISH if spoken(stt.language) == "en" else FLUX_MULTILINGUAL


def spoken(language: str) -> str:
    """Return a language without its region: `en` of `en-IN`; empty where it names none."""
    return "" if language in SEVERAL else language.partition("-")[0].lower()


def tells_turns(stt: SttConfig) -> bool:
    """Whether a recogniser is made to tell where a turn ends, and is left to."""
    if stt.provider == "soniox":
        return not SonioxOptions.model_validate(stt.extra).vad_force_turn_endpoint
    return is_flux(stt)


def lets_interrupt(stt: SttConfig) -> bool:
    """Whether a turn that begins may cut the bot off: Flux has an option that says no."""
    return not is_flux(stt) or FluxOptions.model_validate(stt.extra).should_interrupt


def detector_of(turn: TurnConfig, stt: SttConfig) -> Literal["v1-mini", "stt", "vad"]:
    """Return who tells where a turn ends: what a bot names, or who suits its recogniser."""
    if turn.detector != "auto":
        return turn.detector
    return "stt" if tells_turns(stt) else "v1-mini"


def never_ends_turns(turn: TurnConfig, stt: SttConfig) -> bool:
    """Whether a bot leaves its turns to a recogniser that was told not to end any."""
    told_not_to = (stt.provider == "soniox" and not tells_turns(stt)) or (
        stt.provider == "deepgram"
        and not is_flux(stt)
        and not DeepgramOptions.model_validate(stt.extra).endpointing_ms()
    )
    return turn.detector == "stt" and told_not_to


def _of_deepgram(stt: SttConfig) -> list[Complaint]:
    if is_flux(stt):
        return _of_flux(stt)
    found = [*without_key("stt", stt), *bad_options("stt", DeepgramOptions, stt.extra)]
    if not stt.language:
        found.append(Complaint("stt.language", "required, for example en, hi or multi"))
    if stt.extra.get("keyterm") and not (stt.model or DEEPGRAM_MODEL).startswith("nova-3"):
        found.append(Complaint("stt.extra.keyterm", "only Nova-3 models take key terms"))
    return found


def _of_flux(stt: SttConfig) -> list[Complaint]:
    found = [*without_key("stt", stt), *(bad := bad_options("stt", FluxOptions, stt.extra))]
    model = flux_model(stt)
    if not model.startswith("flux"):
        found.append(Complaint("stt.model", f"a Flux model, for example {FLUX_ENGLISH}"))
    language, is_english = spoken(stt.language), model == FLUX_ENGLISH
    if is_english and language not in ("", "en"):
        found.append(Complaint("stt.language", f"{model} knows English alone"))
    elif language and language not in FLUX_LANGUAGES:
        found.append(Complaint("stt.language", f"Flux knows {', '.join(FLUX_LANGUAGES)}"))
    if bad:
        return found
    options = FluxOptions.model_validate(stt.extra)
    if options.language_hints and is_english:
        found.append(Complaint("stt.extra.language_hints", f"{FLUX_MULTILINGUAL} alone takes them"))
    eot = options.eot_threshold or FLUX_EOT_THRESHOLD
    if (options.eager_eot_threshold or 0.0) > eot:
        message = f"at most the eot_threshold, {eot:g}"
        found.append(Complaint("stt.extra.eager_eot_threshold", message))
    return found


def _of_soniox(stt: SttConfig) -> list[Complaint]:
    return [*without_key("stt", stt), *bad_options("stt", SonioxOptions, stt.extra)]


def _of_offline(stt: SttConfig) -> list[Complaint]:
    return offline_language("stt", stt.language)


STT: dict[str, Callable[[SttConfig], list[Complaint]]] = {
    "offline": _of_offline,
    "deepgram": _of_deepgram,
    "deepgram_flux": _of_flux,
    "soniox": _of_soniox,
}
"""Every provider, and what looks for faults in a bot's choice of it."""


def stt_options(stt: SttConfig) -> type[Options] | None:
    """Return the model of a choice's `extra`; None where anything goes."""
    if is_flux(stt):
        return FluxOptions
    models: dict[str, type[Options]] = {"deepgram": DeepgramOptions, "soniox": SonioxOptions}
    return models.get(stt.provider)
