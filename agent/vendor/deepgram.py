"""Deepgram's streaming recogniser (Nova), fed as the phone's audio comes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import aiohttp
import structlog
from livekit import rtc
from livekit.agents import APIConnectionError, APIStatusError
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from livekit.plugins import deepgram

from contracts.bot import SttConfig
from contracts.vendor import DEEPGRAM_MODEL, DeepgramOptions

log = structlog.get_logger(__name__)

_URL = "https://api.deepgram.com/v1/listen"
_NO_KEY = "none"
"""Said to a server of one's own that asks for no key: the plug-in insists on one."""
_KEEP_ALIVE_S = 5.0
"""Without audio Deepgram hangs up after ten."""


def deepgram_stt(config: SttConfig, rate_hz: int) -> deepgram.STT:
    """Return the recogniser, fed with the phone's own rate: nothing is resampled on the way.

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
        endpointing_ms=options.endpointing_ms,
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


class DeepgramSTT(deepgram.STT):
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
    """Sends each packet of the line as it comes.

    The plug-in cuts audio anew into 50 ms: of packets of 40 ms the last words would wait for the
    next packet, 30 ms on average, and packets of 240 ms would be five messages instead of one. Its
    handshake, its reading of results and its count of usage are kept; that it starts anew when
    options change during a call, which no bot's do, is not.
    """

    async def _run(self) -> None:
        socket = await self._connect_ws()
        began = time.perf_counter()
        sending = asyncio.create_task(self._send(socket))
        keeping = asyncio.create_task(self._keep_alive(socket))
        try:
            await self._receive(socket, sending)
        finally:
            for task in (sending, keeping):
                task.cancel()
            await asyncio.gather(sending, keeping, return_exceptions=True)
            await socket.close()
            self._count(time.perf_counter() - began)

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Pass the line's audio on until it ends; a lost connection shows in `_receive`."""
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            async for packet in self._input_ch:
                if isinstance(packet, rtc.AudioFrame):
                    self._audio_duration_collector.push(packet.duration)
                    await socket.send_bytes(packet.data.tobytes())
                else:
                    await socket.send_str(self._FINALIZE_MSG)
            await socket.send_str(self._CLOSE_MSG)

    async def _keep_alive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            while True:
                await asyncio.sleep(_KEEP_ALIVE_S)
                await socket.send_str(self._KEEPALIVE_MSG)

    async def _receive(
        self, socket: aiohttp.ClientWebSocketResponse, sending: asyncio.Task[None]
    ) -> None:
        """Read results until the connection ends.

        Raises:
            APIStatusError: it ended though there was more to send.
            APIConnectionError: it broke.
        """
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                self._read(message.data)
            elif self._session.closed or (self._input_ch.closed and sending.done()):
                return
            elif message.type is aiohttp.WSMsgType.ERROR:
                raise APIConnectionError("the connection to Deepgram broke")
            else:
                code = socket.close_code or -1
                raise APIStatusError("Deepgram closed the connection", status_code=code)

    def _read(self, text: str) -> None:
        try:
            self._process_stream_event(json.loads(text))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            log.warning("message from Deepgram not understood", error=type(error).__name__)

    def _count(self, lifetime_s: float) -> None:
        """Tell the usage: Deepgram bills the connection's life, not the audio alone."""
        self._audio_duration_collector.flush()
        if (rest_s := lifetime_s - self._reported_duration) > 0:
            self._on_audio_duration_report(rest_s)
        self._reported_duration = 0.0
