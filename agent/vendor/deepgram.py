"""Deepgram's streaming recogniser (Nova), fed as the phone's audio comes."""

from __future__ import annotations

import time
from typing import Any

from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from livekit.plugins import deepgram

from agent.vendor.direct import Direct
from agent.vendor.feed import Feed, Phrases
from contracts.engines import SttConfig
from contracts.vendor.stt import DEEPGRAM_MODEL, DeepgramOptions

_URL = "https://api.deepgram.com/v1/listen"
_NO_KEY = "none"
"""Said to a server of one's own that asks for no key: the plug-in insists on one."""
_PHRASES = Phrases(
    goodbye='{"type": "CloseStream"}',
    flush='{"type": "Finalize"}',
    # Without audio Deepgram hangs up after ten seconds.
    idle='{"type": "KeepAlive"}',
    idle_s=5.0,
)


def deepgram_stt(config: SttConfig, rate_hz: int, *, ends_turns: bool = False) -> deepgram.STT:
    """Return the recogniser, fed with the phone's own rate: nothing is resampled on the way.

    Args:
        ends_turns: whether its final transcripts end the caller's turns.

    Raises:
        pydantic.ValidationError: an option has a value that Deepgram does not take.
    """
    options = DeepgramOptions.model_validate(config.extra)
    return DeepgramSTT(
        api_key=config.api_key or _NO_KEY,
        base_url=config.base_url or _URL,
        model=config.model or DEEPGRAM_MODEL,
        language=config.language,
        sample_rate=rate_hz,
        endpointing_ms=options.endpointing_ms(ends_turns=ends_turns),
        interim_results=options.interim_results,
        punctuate=options.punctuate,
        smart_format=options.smart_format,
        no_delay=options.no_delay,
        filler_words=options.filler_words,
        numerals=options.numerals,
        profanity_filter=options.profanity_filter,
        redact=options.redact or NOT_GIVEN,
        keyterm=options.keyterm or NOT_GIVEN,
        mip_opt_out=options.mip_opt_out,
    )


class DeepgramSTT(Direct, deepgram.STT):
    """The plug-in's STT with streams of our own."""

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> deepgram.SpeechStream:
        stream = _PromptStream(
            stt=self,
            conn_options=conn_options,
            opts=self._sanitize_options(language=language),
            api_key=self._api_key,
            http_session=self._ensure_session(),
            base_url=self._opts.endpoint_url,
        )
        self._streams.add(stream)
        return stream


class _PromptStream(deepgram.SpeechStream):
    """Sends each packet of the line as it comes: see `agent.vendor.feed`.

    The plug-in's handshake, its reading of results and its count of usage are kept; that it starts
    anew when options change during a call, which no bot's do, is not.
    """

    is_mute = False

    async def _run(self) -> None:
        # Interim results come every second, empty ones where nobody speaks; finals come seldom.
        self.is_mute = self._opts.interim_results
        feed = Feed(
            "Deepgram",
            await self._connect_ws(),
            self._input_ch,
            phrases=_PHRASES,
            read=self._read,
            on_audio=self._audio_duration_collector.push,
        )
        began = time.perf_counter()
        try:
            await feed.run()
        finally:
            self._count(time.perf_counter() - began)

    def _read(self, message: dict[str, Any]) -> None:
        if message["type"] == "Results":
            self.is_mute = False
        self._process_stream_event(message)

    def _count(self, lifetime_s: float) -> None:
        """Tell the usage: Deepgram bills the connection's life, not the audio alone."""
        self._audio_duration_collector.flush()
        if (rest_s := lifetime_s - self._reported_duration) > 0:
            self._on_audio_duration_report(rest_s)
        self._reported_duration = 0.0
