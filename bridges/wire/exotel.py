"""Exotel's Voicebot stream, our end: a call as JSON messages, `docs/protocols/exotel.md`.

Exotel opens with `connected` and `start`; the call is answered by then. Both sides stream audio
until Exotel says `stop` or we close the socket. Its end is `bridges.wire.exotel_phone`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from bridges.wire.close import CloseCode, InvalidState, ProtocolError
from bridges.wire.dtmf import DIGITS
from bridges.wire.exotel_event import (
    AudioReceived,
    ExotelEvent,
    KeyPressed,
    MarkReached,
    StreamStarted,
    StreamStopped,
)
from bridges.wire.exotel_message import (
    CHUNK_STEP_BYTES,
    MAX_CHUNK_BYTES,
    MAX_STREAM_MESSAGE_BYTES,
    StreamFormat,
    first_of,
    part_of,
    read_format,
    read_parameters,
    text_of,
)
from bridges.wire.message import (
    coerce_number,
    decode_payload,
    encode_audio,
    malformed,
    parse_message,
    serialize_message,
)

HANDSHAKE_TIMEOUT_S = 10.0
"""From the connection's opening to `start`."""
MEDIA_TIMEOUT_S = 10.0
"""Longest silence of a stream: Exotel sends media all the time."""
MAX_DIGITS = 500
"""Keys of one call that are told; whoever presses more is no person."""

KNOWN_EVENTS = frozenset({"connected", "start", "media", "dtmf", "mark", "stop"})


class State(Enum):
    """Where the stream stands: what it waits for, or that it is over."""

    OPENED = "connected"
    CONNECTED = "start"
    STARTED = "media"
    CLOSED = "nothing"


class ExotelServer:
    """One stream as the bot's side sees it.

    Which call is legal when: `receive`, `expire` and `close` always (once `CLOSED` they do
    nothing); `send_media`, `send_mark` and `clear` in `STARTED`. Drain `outgoing` after each.

    Args:
        now: when the connection was opened.
        url_rate: the stream's URL asked for this rate; "": it did not.
        handshake_timeout_s, media_timeout_s: what Exotel may take.

    Attributes:
        state: what the stream waits for.
        format: how payloads hold audio; known from `start` on.
        ignored_events: messages with an event name we do not know, and keys that are none.
        late_messages: known messages that came after the end.
    """

    def __init__(
        self,
        now: float,
        *,
        url_rate: str = "",
        handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S,
        media_timeout_s: float = MEDIA_TIMEOUT_S,
    ) -> None:
        self.state = State.OPENED
        self.format = StreamFormat()
        self.ignored_events = 0
        self.late_messages = 0
        self._url_rate = url_rate
        self._media_timeout_s = media_timeout_s
        self._deadline: float | None = now + handshake_timeout_s
        self._parameters: dict[str, Any] = {}
        self._stream_id = ""
        self._digits = 0
        self._outgoing: list[str] = []

    def receive(self, data: bytes | str, now: float) -> list[ExotelEvent]:
        """Take one message and return what it means.

        Raises:
            ProtocolError: the message breaks the protocol; the stream is `CLOSED` from then on.
        """
        if self.state is State.CLOSED:
            self.late_messages += 1
            return []
        try:
            return self._receive(data, now)
        except ProtocolError:
            self.close()
            raise

    def deadline(self) -> float | None:
        """Return when `expire` wants to be called next, or None for not at all."""
        return self._deadline

    def expire(self, now: float) -> None:
        """Let time pass.

        Raises:
            ProtocolError: what was due by now did not come; the stream is `CLOSED` from then on.
        """
        if self._deadline is None or now < self._deadline:
            return
        waited_for = self.state
        self.close()
        if waited_for is State.STARTED:
            raise ProtocolError(
                CloseCode.MEDIA_TIMEOUT, f"no media for {self._media_timeout_s:g} s"
            )
        raise ProtocolError(CloseCode.HANDSHAKE_TIMEOUT, f"no {waited_for.value} in time")

    def send_media(self, pcm: bytes) -> None:
        """Send one chunk of bot audio, PCM16 at the stream's rate.

        Raises:
            InvalidState: not started, not a multiple of 320 bytes, or too many of them.
        """
        payload = self.format.payload_of(pcm)
        if not payload or len(payload) % CHUNK_STEP_BYTES:
            raise InvalidState(f"a chunk has a multiple of {CHUNK_STEP_BYTES} bytes")
        text = encode_audio(payload)
        if len(text) > MAX_CHUNK_BYTES:
            raise InvalidState(f"a chunk has at most {MAX_CHUNK_BYTES} bytes, encoded")
        # Its numeric fields are optional, and an end of the stream if they are numbers.
        self._send("media", media={"payload": text})

    def send_mark(self, name: str) -> None:
        """Have Exotel say `name` once all audio sent before it has been played.

        Raises:
            InvalidState: not started.
        """
        self._send("mark", mark={"name": name})

    def clear(self) -> None:
        """Make Exotel drop the bot audio it has not begun to play.

        Raises:
            InvalidState: not started.
        """
        self._send("clear")

    def close(self) -> None:
        """Say and hear nothing any more: there are no last words but the socket's."""
        self.state = State.CLOSED
        self._deadline = None

    def outgoing(self) -> list[str]:
        """Return the messages to put on the wire since the last call, in order."""
        messages, self._outgoing = self._outgoing, []
        return messages

    def _receive(self, data: bytes | str, now: float) -> list[ExotelEvent]:
        event, fields = parse_message(data, MAX_STREAM_MESSAGE_BYTES)
        if event not in KNOWN_EVENTS:
            self.ignored_events += 1
            return []
        match event, self.state:
            case "media", State.STARTED:
                self._deadline = now + self._media_timeout_s
                payload = decode_payload(part_of(fields, "media"))
                return [AudioReceived(self.format.pcm_of(payload))]
            case "mark", State.STARTED:
                return [MarkReached(text_of(part_of(fields, "mark"), "name"))]
            case "dtmf", State.STARTED:
                return self._press(part_of(fields, "dtmf"))
            case "connected", State.OPENED:
                self._parameters = read_parameters(fields)
                self.state = State.CONNECTED
                return []
            case "start", State.CONNECTED:
                return [self._start(part_of(fields, "start"), now)]
            case "stop", state if state is not State.OPENED:
                reason = text_of(part_of(fields, "stop"), "reason")
                self.close()
                return [StreamStopped(reason)]
        raise ProtocolError(CloseCode.OUT_OF_ORDER, f"expected {self.state.value}, got {event}")

    def _start(self, start: Mapping[str, Any], now: float) -> StreamStarted:
        self.format = read_format(start, self._url_rate)
        call_id = text_of(start, "call_sid", "callSid")
        # One of Exotel's own samples names no stream; there is one on a socket, so any id will do.
        self._stream_id = text_of(start, "stream_sid", "streamSid") or call_id
        if not self._stream_id:
            raise malformed("stream_sid", "an id in start", None)
        account_id = text_of(start, "account_sid", "accountSid")
        caller, callee = text_of(start, "from"), text_of(start, "to")
        named = {
            "stream_sid": self._stream_id,
            "call_sid": call_id,
            "account_sid": account_id,
            "from": caller,
            "to": callee,
        }
        self.state = State.STARTED
        self._deadline = now + self._media_timeout_s
        return StreamStarted(
            self._stream_id,
            call_id,
            account_id,
            caller,
            callee,
            self.format.rate_hz,
            {**self._parameters, **read_parameters(start), **named},
        )

    def _press(self, dtmf: Mapping[str, Any]) -> list[ExotelEvent]:
        digit = text_of(dtmf, "digit").upper()
        if digit not in set(DIGITS) or self._digits >= MAX_DIGITS:
            self.ignored_events += 1
            return []
        self._digits += 1
        duration_ms = coerce_number(first_of(dtmf, "duration", "duration_ms")) or 0
        return [KeyPressed(digit, max(0, min(duration_ms, 60_000)))]

    def _send(self, event: str, **fields: Any) -> None:
        if self.state is not State.STARTED:
            raise InvalidState(f"not while waiting for {self.state.value}")
        message = {"event": event, "stream_sid": self._stream_id, **fields}
        self._outgoing.append(serialize_message(message))
