"""Soniox: a recogniser of sixty languages, mixed as they come, that tells where a turn ends."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import aiohttp
from livekit.agents import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    stt,
)
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from livekit.plugins import soniox

from agent.vendor.direct import Direct
from agent.vendor.feed import Feed, Phrases
from contracts.engines import SttConfig
from contracts.vendor.stt import SONIOX_MODEL, SonioxOptions, spoken

_URL = "wss://stt-rt.soniox.com/transcribe-websocket"
_NO_KEY = "none"
_HEARTBEAT_S = 30.0
_PHRASES = Phrases(
    # An empty text says that no more audio comes.
    goodbye="",
    flush='{"type": "finalize"}',
    # Without audio Soniox hangs up after twenty seconds.
    idle='{"type": "keepalive"}',
    idle_s=5.0,
)


def soniox_stt(config: SttConfig, rate_hz: int) -> soniox.STT:
    """Return the recogniser, fed with the phone's own rate.

    Raises:
        pydantic.ValidationError: an option has a value that Soniox does not take.
    """
    options = SonioxOptions.model_validate(config.extra)
    language = spoken(config.language)
    request: dict[str, Any] = {
        "model": config.model or SONIOX_MODEL,
        "audio_format": "pcm_s16le",
        "sample_rate": rate_hz,
        "num_channels": 1,
        "language_hints": options.language_hints or ([language] if language else None),
        "language_hints_strict": options.language_hints_strict,
        "context": options.context,
        "enable_speaker_diarization": options.enable_speaker_diarization,
        "enable_language_identification": options.enable_language_identification,
        "client_reference_id": options.client_reference_id,
        # What the plug-in always asks for: the vendor's own judgement of where a turn ends.
        "enable_endpoint_detection": not options.vad_force_turn_endpoint,
        "max_endpoint_delay_ms": options.max_endpoint_delay_ms,
    }
    return SonioxSTT(
        {name: value for name, value in request.items() if value is not None},
        api_key=config.api_key or _NO_KEY,
        base_url=config.base_url or _URL,
        params=soniox.STTOptions(
            model=request["model"],
            sample_rate=rate_hz,
            enable_speaker_diarization=options.enable_speaker_diarization,
        ),
    )


class SonioxSTT(soniox.STT):
    """The plug-in's STT with streams of our own, and a request that it has no arguments for."""

    def __init__(self, request: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self._request = request
        # Where Soniox is not to judge, the session asks for its words once our own detectors have.
        asks = not request["enable_endpoint_detection"]
        self._capabilities = replace(self._capabilities, manual_flush=asks)

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> soniox.stt.SpeechStream:
        return _PromptStream(self, self._request, conn_options)


class _PromptStream(Direct, soniox.stt.SpeechStream):
    """Sends each packet as it comes; a lost connection is an error, not a silent new beginning.

    The plug-in's reading of tokens is kept.
    """

    is_mute = False

    def __init__(
        self, owner: SonioxSTT, request: dict[str, Any], conn_options: APIConnectOptions
    ) -> None:
        super().__init__(stt=owner, conn_options=conn_options)
        self._request = request
        self._has_run = False

    async def _run(self) -> None:
        if self._has_run:
            # What a lost connection cut short is over.
            self._event_ch.send_nowait(stt.SpeechEvent(stt.SpeechEventType.END_OF_SPEECH))
        self._has_run = True
        # How much it has listened to is told all the time, without tokens where nobody speaks.
        self.is_mute = True
        self._ws = await self._connect_ws()
        try:
            await Feed("Soniox", self._ws, self._input_ch, phrases=_PHRASES).run(
                self._recv_messages_task
            )
        finally:
            self._ws = None

    def _report_processed_audio_duration(self, total_audio_proc_ms: float) -> None:
        self.is_mute = self.is_mute and not total_audio_proc_ms
        super()._report_processed_audio_duration(total_audio_proc_ms)

    async def _connect_ws(self) -> aiohttp.ClientWebSocketResponse:
        """Connect and say what is wanted.

        Raises:
            APIError: it was refused, or took too long. No key is in it.
        """
        self._reported_duration_ms = 0
        self._num_output_tokens = self._reported_output_tokens = 0
        try:
            async with asyncio.timeout(self._conn_options.timeout):
                socket = await self._ensure_session().ws_connect(
                    self._stt._base_url,
                    headers={"Authorization": f"Bearer {self._stt._api_key}"},
                    heartbeat=_HEARTBEAT_S,
                )
                await socket.send_str(json.dumps(self._request))
        except TimeoutError:
            raise APITimeoutError("Soniox could not be reached in time") from None
        except aiohttp.ClientResponseError as error:
            raise APIStatusError(error.message, status_code=error.status) from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise APIConnectionError(f"no connection to Soniox: {type(error).__name__}") from None
        return socket
