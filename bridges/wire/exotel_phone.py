"""Exotel's Voicebot stream, Exotel's end, with its rules: for the softphone, tests and load."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from bridges.wire.close import CloseCode, InvalidState, ProtocolError
from bridges.wire.exotel_event import BotCleared, BotSpoke, ExotelPhoneEvent, MarkAsked
from bridges.wire.exotel_message import (
    CHUNK_STEP_BYTES,
    MAX_CHUNK_BYTES,
    MAX_STREAM_MESSAGE_BYTES,
    MIN_CHUNK_BYTES,
    StreamFormat,
    part_of,
    text_of,
)
from bridges.wire.message import (
    decode_payload,
    encode_audio,
    malformed,
    parse_message,
    serialize_message,
)

_STRINGS = ("sequence_number", "chunk", "timestamp")
"""Fields that Exotel's own decoder wants as text, and ends the stream over where they are not."""


class ExotelPhoneState(Enum):
    """What has been said so far."""

    OPENED = "opened"
    CONNECTED = "connected"
    STARTED = "started"
    CLOSED = "closed"


class ExotelPhone:
    """One stream as Exotel sees it.

    Which call is legal when: `connect`, `start`, once each and in this order; `send_media`,
    `press`, `reach` and `stop` after `start`; `receive` always. Once `CLOSED`, nothing but
    `receive` is legal, and it does nothing.

    Args:
        format: how payloads hold audio.
        min_chunk_bytes: what a chunk of the bot's must have at least.

    Attributes:
        state: how far the stream has come.
        ignored_events: messages with an event name Exotel does not know.
    """

    def __init__(
        self,
        format: StreamFormat = StreamFormat(),  # noqa: B008 - frozen
        *,
        min_chunk_bytes: int = MIN_CHUNK_BYTES,
    ) -> None:
        self.state = ExotelPhoneState.OPENED
        self.ignored_events = 0
        self.format = format
        self._min_chunk_bytes = min_chunk_bytes
        self._stream_id = ""
        self._sequence = 0
        self._chunk = 0
        self._sent_samples = 0
        self._outgoing: list[str] = []

    def connect(self) -> None:
        """Open the stream.

        Raises:
            InvalidState: opened before.
        """
        self._require(ExotelPhoneState.OPENED)
        self.state = ExotelPhoneState.CONNECTED
        self._outgoing.append(serialize_message({"event": "connected"}))

    def start(
        self,
        stream_id: str,
        *,
        call_id: str = "call-1",
        account_id: str = "account-1",
        caller: str = "",
        callee: str = "",
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        """Say whose call it is, and how its audio is held.

        Raises:
            InvalidState: not opened, or started before.
        """
        self._require(ExotelPhoneState.CONNECTED)
        self.state = ExotelPhoneState.STARTED
        self._stream_id = stream_id
        media_format = {
            "encoding": "mulaw" if self.format.is_mu_law else "raw",
            "sample_rate": str(self.format.rate_hz),
            "bit_rate": "16",
        }
        self._send(
            "start",
            start={
                "stream_sid": stream_id,
                "call_sid": call_id,
                "account_sid": account_id,
                "from": caller,
                "to": callee,
                "custom_parameters": dict(parameters or {}),
                "media_format": media_format,
            },
        )

    def send_media(self, pcm: bytes) -> None:
        """Send caller audio: PCM16 at the stream's rate.

        Raises:
            InvalidState: not started, or over.
        """
        self._require(ExotelPhoneState.STARTED)
        self._chunk += 1
        timestamp_ms = 1000 * self._sent_samples // self.format.rate_hz
        self._sent_samples += len(pcm) // 2
        payload = encode_audio(self.format.payload_of(pcm))
        media = {"chunk": str(self._chunk), "timestamp": str(timestamp_ms), "payload": payload}
        self._send("media", media=media)

    def press(self, digit: str, duration_ms: int = 100) -> None:
        """Say that a key was pressed.

        Raises:
            InvalidState: not started, or over.
        """
        self._require(ExotelPhoneState.STARTED)
        self._send("dtmf", dtmf={"digit": digit, "duration": str(duration_ms)})

    def reach(self, name: str) -> None:
        """Say that all audio before a mark has been played.

        Raises:
            InvalidState: not started, or over.
        """
        self._require(ExotelPhoneState.STARTED)
        self._send("mark", mark={"name": name})

    def stop(self, reason: str = "callended") -> None:
        """Say that the stream is over.

        Raises:
            InvalidState: not started, or over.
        """
        self._require(ExotelPhoneState.STARTED)
        self._send("stop", stop={"reason": reason})
        self.state = ExotelPhoneState.CLOSED

    def receive(self, data: bytes | str) -> list[ExotelPhoneEvent]:
        """Take one message of the bot's and return what it means.

        Raises:
            ProtocolError: the message breaks Exotel's rules; the stream is `CLOSED` from then on.
        """
        if self.state is ExotelPhoneState.CLOSED:
            return []
        try:
            return self._receive(data)
        except ProtocolError:
            self.state = ExotelPhoneState.CLOSED
            raise

    def outgoing(self) -> list[str]:
        """Return the messages to put on the wire since the last call, in order."""
        messages, self._outgoing = self._outgoing, []
        return messages

    def _receive(self, data: bytes | str) -> list[ExotelPhoneEvent]:
        event, fields = parse_message(data, MAX_STREAM_MESSAGE_BYTES)
        if event not in {"media", "mark", "clear"}:
            self.ignored_events += 1
            return []
        if self.state is not ExotelPhoneState.STARTED:
            raise ProtocolError(CloseCode.OUT_OF_ORDER, f"{event} before start")
        if text_of(fields, "stream_sid", "streamSid") != self._stream_id:
            raise malformed("stream_sid", "the stream's id", fields.get("stream_sid"))
        part = part_of(fields, event)
        for name in _STRINGS:
            if not isinstance(part.get(name, ""), str):
                raise malformed(name, "text", part[name])
        if event == "clear":
            return [BotCleared()]
        if event == "mark":
            return [MarkAsked(text_of(part, "name"))]
        payload = decode_payload(part)
        self._weigh(payload)
        return [BotSpoke(self.format.pcm_of(payload))]

    def _weigh(self, payload: bytes) -> None:
        size_bytes = len(payload)
        if len(encode_audio(payload)) > MAX_CHUNK_BYTES:
            raise ProtocolError(CloseCode.TOO_BIG, f"chunk of {size_bytes} bytes")
        if size_bytes < self._min_chunk_bytes or size_bytes % CHUNK_STEP_BYTES:
            raise ProtocolError(
                CloseCode.BAD_AUDIO,
                f"chunk of {size_bytes} bytes: expected a multiple of {CHUNK_STEP_BYTES}"
                f" from {self._min_chunk_bytes} on",
            )

    def _send(self, event: str, **fields: Any) -> None:
        self._sequence += 1
        head = {"event": event, "sequence_number": str(self._sequence)}
        self._outgoing.append(serialize_message({**head, "stream_sid": self._stream_id, **fields}))

    def _require(self, state: ExotelPhoneState) -> None:
        if self.state is not state:
            raise InvalidState(f"not while {self.state.value}")
