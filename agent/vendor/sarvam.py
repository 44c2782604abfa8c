"""Sarvam's voices of Indian languages: each clause is spoken as soon as it is written."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from dataclasses import replace
from typing import Any

import aiohttp
from livekit.agents import APIConnectionError, APIStatusError, APITimeoutError, tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions
from livekit.plugins import sarvam
from livekit.plugins.sarvam import tts as plugin

from agent.vendor.clauses import Clauses
from agent.vendor.direct import Direct
from contracts.engines import TtsConfig
from contracts.vendor.tts import SARVAM_MODEL, SarvamOptions, sarvam_language

_URL = "https://api.sarvam.ai/text-to-speech"
_NO_KEY = "none"
_HEARTBEAT_S = 20.0
_LOOK_S = 0.1
"""How often the clock is looked at while nothing comes."""
_LAST_S = 1.0
"""Quiet after the end of a piece that ends the line, should the vendor not tell of every end."""


def sarvam_tts(config: TtsConfig, rate_hz: int) -> sarvam.TTS:
    """Return the voice, as PCM at the phone's own rate: nothing is decoded or resampled.

    Raises:
        pydantic.ValidationError: an option has a value that Sarvam does not take.
    """
    options = SarvamOptions.model_validate(config.extra)
    url = config.base_url or _URL
    return SarvamTTS(
        voice=config.voice.lower(),
        api_key=config.api_key or _NO_KEY,
        base_url=url,
        ws_url=f"{url.replace('http', 'ws', 1)}/ws",
        model=config.model or SARVAM_MODEL,
        target_language_code=sarvam_language(config.language),
        speech_sample_rate=rate_hz,
        output_audio_codec="linear16",
        pitch=options.pitch,
        pace=options.pace,
        loudness=options.loudness,
        temperature=options.temperature,
        enable_preprocessing=options.enable_preprocessing,
        enable_cached_responses=options.enable_cached_responses,
        dict_id=options.dict_id,
    )


class SarvamTTS(Direct, sarvam.TTS):
    """The plug-in's TTS with streams of our own; its pool of connections is kept."""

    def __init__(self, *, voice: str, **options: Any) -> None:
        super().__init__(**options)
        if voice:
            # Not by the plug-in's list of names: the vendor's grows, and it says what it lacks.
            self._opts = replace(self._opts, speaker=voice)

    def synthesize(  # type: ignore[override]
        self, text: str, *, conn_options: APIConnectOptions | None = None
    ) -> tts.ChunkedStream:
        """Speak a whole text, over the same connection: another way would be another wire."""
        return self._synthesize_with_stream(
            text, conn_options=conn_options or DEFAULT_API_CONNECT_OPTIONS
        )

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> plugin.SynthesizeStream:
        stream = _PieceStream(tts=self, conn_options=conn_options)
        self._streams.add(stream)
        return stream

    def update_options(  # type: ignore[override]
        self, *, speaker: str | None = None, target_language_code: str | None = None
    ) -> None:
        """Speak otherwise from the next line on."""
        self._opts = replace(
            self._opts,
            speaker=speaker or self._opts.speaker,
            target_language_code=target_language_code or self._opts.target_language_code,
        )

    async def _connect_ws(self, timeout: float) -> aiohttp.ClientWebSocketResponse:
        try:
            async with asyncio.timeout(timeout):
                socket = await self._ensure_session().ws_connect(
                    plugin._websocket_url(self._opts),
                    headers={"api-subscription-key": self._opts.api_key},
                    heartbeat=_HEARTBEAT_S,
                )
        except TimeoutError:
            raise APITimeoutError("Sarvam could not be reached in time") from None
        except aiohttp.ClientResponseError as error:
            # The plug-in takes a wrong key for a lost connection, and shows it in the error.
            raise APIStatusError(error.message, status_code=error.status) from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise APIConnectionError(f"no connection to Sarvam: {type(error).__name__}") from None
        self._start_keepalive(socket)
        self._open_ws_ids.add(id(socket))
        return socket


class _PieceStream(plugin.SynthesizeStream):
    """Has each piece of the answer spoken as soon as it is there.

    Sarvam gathers some fifty characters before it begins, unless it is told to flush; the plug-in
    does so once, at the answer's end, and takes a pause in the writing for a vendor that hangs.
    Sarvam tells of the end of each flush.
    """

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=self._opts.speech_sample_rate,
            num_channels=1,
            mime_type="audio/pcm",
            stream=True,
        )
        output_emitter.start_segment(segment_id=utils.shortuuid())
        owner: plugin.TTS = self._tts
        self._owed = 0
        self._is_written = False
        self._news_at = time.monotonic()
        async with owner._pool.connection(timeout=self._conn_options.timeout) as socket:
            await owner._stop_keepalive(socket)
            sending = asyncio.create_task(self._send(socket))
            try:
                await self._receive(socket, output_emitter)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            owner._start_keepalive(socket)
        output_emitter.end_segment()

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Pass the answer on, piece by piece; a lost connection shows in `_receive`."""
        clauses = Clauses()
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            await socket.send_json({"type": "config", "data": self._config()})
            async for part in self._input_ch:
                texts = clauses.push(part) if isinstance(part, str) else clauses.flush()
                await self._say(socket, texts)
            await self._say(socket, clauses.flush())
            self._is_written = True

    async def _say(self, socket: aiohttp.ClientWebSocketResponse, texts: list[str]) -> None:
        for text in texts:
            self._mark_started()
            self._owed += 1
            self._news_at = time.monotonic()
            await socket.send_json({"type": "text", "data": {"text": text}})
            await socket.send_json({"type": "flush"})

    async def _receive(
        self, socket: aiohttp.ClientWebSocketResponse, emitter: tts.AudioEmitter
    ) -> None:
        """Take audio until all that was written has been spoken.

        Raises:
            APITimeoutError: nothing came for a text.
            APIError: the connection broke, or the vendor told of an error.
        """
        is_between = False
        while not (self._is_written and self._owed <= 0):
            try:
                message = await socket.receive(timeout=_LOOK_S)
            except TimeoutError:
                quiet_s = time.monotonic() - self._news_at
                if self._is_written and is_between and quiet_s >= _LAST_S:
                    return
                if self._owed > 0 and quiet_s >= self._conn_options.timeout:
                    raise APITimeoutError("Sarvam made no sound in time") from None
                continue
            if message.type is not aiohttp.WSMsgType.TEXT:
                code = socket.close_code or -1
                raise APIStatusError("Sarvam closed the connection", status_code=code)
            self._news_at = time.monotonic()
            is_between = self._take(message.data, emitter)

    def _take(self, text: str, emitter: tts.AudioEmitter) -> bool:
        """Take one message; return whether it is the end of a piece."""
        try:
            message = json.loads(text)
            kind, data = message["type"], message.get("data") or {}
            if kind == "audio":
                emitter.push(base64.b64decode(data["audio"], validate=True))
            elif kind == "error":
                status = plugin._error_status_code(data)
                raise APIStatusError("Sarvam told of an error", status_code=status)
            elif data.get("event_type") == "final":
                self._owed -= 1
                # What follows may take a while: nothing is held back until then.
                emitter.flush()
                return True
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise APIConnectionError("message from Sarvam not understood") from error
        return False

    def _config(self) -> dict[str, Any]:
        options = self._opts
        return {
            "target_language_code": options.target_language_code,
            "speaker": options.speaker,
            "pace": options.pace,
            "model": options.model,
            "speech_sample_rate": options.speech_sample_rate,
            "output_audio_codec": options.output_audio_codec,
            **plugin._model_extra_fields(options),
        }
