"""Vendors of models that hear and speak by themselves: what each takes, and what can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.engines import RealtimeConfig
from contracts.vendor.option import Complaint, Options, bad_options, without_key

OPENAI_REALTIME_MODEL = "gpt-realtime"
GEMINI_LIVE_MODEL = "gemini-2.5-flash-native-audio-preview-12-2025"


class _Part(BaseModel):
    """A part of an option; what the vendor does not know of it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OpenAiTurnDetection(_Part):
    """How OpenAI itself judges turns, with `turn.detector: stt`."""

    type: Literal["server_vad", "semantic_vad"] = "semantic_vad"
    threshold: float | None = Field(default=None, ge=0, le=1)
    prefix_padding_ms: int | None = Field(default=None, ge=0, le=5000)
    silence_duration_ms: int | None = Field(default=None, ge=0, le=10_000)
    idle_timeout_ms: int | None = Field(default=None, ge=5000, le=30_000)
    eagerness: Literal["low", "medium", "high", "auto"] | None = None


class OpenAiTranscription(_Part):
    """What OpenAI writes the caller's words with, with `turn.detector: stt`."""

    model: str = "gpt-4o-mini-transcribe"
    prompt: str | None = None


class OpenAiRealtimeOptions(Options):
    """`realtime.extra` for OpenAI."""

    turn_detection: OpenAiTurnDetection = OpenAiTurnDetection()
    input_audio_transcription: OpenAiTranscription = OpenAiTranscription()
    input_audio_noise_reduction: Literal["near_field", "far_field"] | None = None
    speed: float = Field(default=1.0, ge=0.25, le=1.5)
    reasoning_effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    tracing: Literal["auto"] | None = None
    max_output_tokens: int | None = Field(default=None, ge=1, le=4096)
    max_session_s: int = Field(default=3300, ge=60, le=3500)
    """After so long the connection is made anew: OpenAI ends it after an hour."""


class GeminiActivityDetection(_Part):
    """How Gemini itself judges turns, with `turn.detector: stt`."""

    start_of_speech_sensitivity: Literal["high", "low"] | None = None
    end_of_speech_sensitivity: Literal["high", "low"] | None = None
    prefix_padding_ms: int | None = Field(default=None, ge=0, le=5000)
    silence_duration_ms: int | None = Field(default=None, ge=0, le=10_000)


class GeminiLiveOptions(Options):
    """`realtime.extra` for Gemini Live."""

    turn_detection: GeminiActivityDetection = GeminiActivityDetection()
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=1, le=1000)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    max_output_tokens: int | None = Field(default=None, ge=1, le=65_536)
    thinking_budget: int | None = Field(default=None, ge=-1, le=32_768)
    enable_affective_dialog: bool | None = None
    proactivity: bool | None = None
    compress_context: bool = True
    """Whether the oldest of a long call is left out: else Gemini ends it after 15 minutes."""


def _of_openai(realtime: RealtimeConfig) -> list[Complaint]:
    found = _keyed(realtime, OpenAiRealtimeOptions)
    if realtime.temperature is not None:
        found.append(Complaint("realtime.temperature", "OpenAI's realtime models take none"))
    return found


def _of_google(realtime: RealtimeConfig) -> list[Complaint]:
    return _keyed(realtime, GeminiLiveOptions)


def _keyed(realtime: RealtimeConfig, options: type[Options]) -> list[Complaint]:
    return [
        *without_key("realtime", realtime),
        *bad_options("realtime", options, realtime.extra),
    ]


REALTIME: dict[str, Callable[[RealtimeConfig], list[Complaint]]] = {
    "openai": _of_openai,
    "google": _of_google,
}
"""Every provider, and what looks for faults in a bot's choice of it."""

_OPTIONS: dict[str, type[Options]] = {
    "openai": OpenAiRealtimeOptions,
    "google": GeminiLiveOptions,
}


def realtime_options(realtime: RealtimeConfig) -> type[Options] | None:
    """Return the model of a choice's `extra`; None where anything goes."""
    return _OPTIONS.get(realtime.provider)
