"""Deepgram's Flux: a recogniser that tells by itself where a turn ends."""

from __future__ import annotations

from typing import Any

from livekit.agents import LanguageCode, stt
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from livekit.plugins import deepgram
from livekit.plugins.deepgram.stt_v2 import SpeechStreamv2

from agent.vendor.direct import Direct
from agent.vendor.feed import Feed, Phrases
from contracts.engines import SttConfig
from contracts.vendor.stt import FLUX_MULTILINGUAL, FluxOptions, flux_model, spoken

_URL = "https://api.deepgram.com/v2/listen"
_NO_KEY = "none"
_IDLE_S = 0.5
"""Its clock is the audio: without any, a turn that has begun would never end."""


def flux_stt(config: SttConfig, rate_hz: int) -> deepgram.STTv2:
    """Return the recogniser, fed with the phone's own rate.

    Raises:
        pydantic.ValidationError: an option has a value that Flux does not take.
    """
    options = FluxOptions.model_validate(config.extra)
    model = flux_model(config)
    return FluxSTT(
        min_confidence=options.min_confidence,
        api_key=config.api_key or _NO_KEY,
        base_url=config.base_url or _URL,
        model=model,
        sample_rate=rate_hz,
        eot_threshold=_given(options.eot_threshold),
        eager_eot_threshold=_given(options.eager_eot_threshold),
        eot_timeout_ms=_given(options.eot_timeout_ms),
        keyterm=options.keyterm,
        language_hint=_hints(config, options) if model == FLUX_MULTILINGUAL else NOT_GIVEN,
        numerals=options.numerals,
        profanity_filter=options.profanity_filter,
        mip_opt_out=options.mip_opt_out,
    )


class FluxSTT(Direct, deepgram.STTv2):
    """The plug-in's STT with streams of our own."""

    def __init__(self, *, min_confidence: float, **options: Any) -> None:
        super().__init__(**options)
        self._min_confidence = min_confidence

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> SpeechStreamv2:
        stream = _TurnStream(
            self._min_confidence,
            stt=self,
            conn_options=conn_options,
            opts=self._opts,
            api_key=self._api_key,
            http_session=self._ensure_session(),
            base_url=self._opts.endpoint_url,
        )
        self._streams.add(stream)
        return stream


class _TurnStream(SpeechStreamv2):
    """Sends each packet as it comes; the vendor's errors, which the plug-in only logs, are errors.

    The plug-in's handshake and its reading of turns are kept.
    """

    is_mute = False

    def __init__(self, min_confidence: float, **given: Any) -> None:
        super().__init__(**given)
        self._min_confidence = min_confidence

    async def _run(self) -> None:
        # Updates come four times a second, whether or not there are words.
        self.is_mute = True
        # A turn that a lost connection cut short is over.
        if self._speaking:
            self._speaking = False
            self._event_ch.send_nowait(stt.SpeechEvent(stt.SpeechEventType.END_OF_SPEECH))
        silence = bytes(2 * int(_IDLE_S * self._opts.sample_rate))
        phrases = Phrases(goodbye=self._CLOSE_MSG, idle=silence, idle_s=_IDLE_S)
        feed = Feed(
            "Deepgram",
            await self._connect_ws(),
            self._input_ch,
            phrases=phrases,
            read=self._read,
            on_audio=self._audio_duration_collector.push,
        )
        try:
            await feed.run()
        finally:
            self._audio_duration_collector.flush()

    def _read(self, message: dict[str, Any]) -> None:
        if message["type"] == "TurnInfo":
            self.is_mute = False
        ends = message.get("event") == "EndOfTurn" and self._speaking
        is_unsure = not self._says_something(message.get("words") or [])
        if ends and is_unsure:
            self._dismiss()
        else:
            # Words that are taken for noise in the end cut nobody off before.
            self._process_stream_event({**message, "words": []} if is_unsure else message)

    def _says_something(self, words: list[dict[str, Any]]) -> bool:
        confidences = [word["confidence"] for word in words]
        return bool(words) and sum(confidences) / len(words) >= self._min_confidence

    def _dismiss(self) -> None:
        """End the turn with a final that says nothing: what was heard were no words."""
        self._speaking = False
        nothing = stt.SpeechData(language=LanguageCode(self._opts.language), text="")
        kinds = stt.SpeechEventType
        self._event_ch.send_nowait(stt.SpeechEvent(kinds.FINAL_TRANSCRIPT, alternatives=[nothing]))
        self._event_ch.send_nowait(stt.SpeechEvent(kinds.END_OF_SPEECH))


def _hints(config: SttConfig, options: FluxOptions) -> list[str]:
    if options.language_hints:
        return options.language_hints
    return [language] if (language := spoken(config.language)) else []


def _given(value: Any) -> Any:
    return NOT_GIVEN if value is None else value
