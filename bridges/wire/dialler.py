"""The dialler's WebSocket protocol, our end: a call as JSON messages, `docs/protocols/dialler.md`.

The dialler opens with `connected`, `start` and `answer`, in this order, then both sides stream
audio until one of them hangs up. Its end is `bridges.wire.dialler_phone`.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

from bridges.wire.close import CloseCode, InvalidState, ProtocolError
from bridges.wire.dialler_event import (
    Answered,
    Connected,
    DiallerEvent,
    HungUp,
    MediaReceived,
    Started,
)
from bridges.wire.dialler_message import (
    CHUNK_BYTES,
    CHUNK_MS,
    MAX_CHUNK_MS,
    MAX_FIELDS,
    Direction,
    coerce_direction,
    require_linear_8k_mono,
)
from bridges.wire.message import (
    coerce_text,
    decode_audio,
    encode_audio,
    malformed,
    parse_message,
    require_encodable,
    serialize_message,
)

HANDSHAKE_TIMEOUT_S = 10.0
"""From the connection's opening to `answer`."""
MEDIA_TIMEOUT_S = 30.0
"""Longest silence of an answered dialler: real ones send media all the time, if only zeros."""

SOURCE = "ai"


class State(Enum):
    """Where the stream stands: what it waits for, or that it is over."""

    OPENED = "connected"
    CONNECTED = "start"
    STARTED = "answer"
    ANSWERED = "media"
    TRANSFERRED = "hangup-call"
    CLOSED = "nothing"


KNOWN_FIELDS = {
    "start": frozenset({"event", "streamId", "mediaFormat"}),
    "answer": frozenset({"event"}),
    "media": frozenset({"event", "payload"}),
    "hangup-call": frozenset({"event", "disconnectedBy"}),
}
"""What each message means to us; `connected` is not here because all it says is passed on."""


class DiallerServer:
    """One stream as the bot's side sees it.

    Which call is legal when: `receive` and `expire` always (once `CLOSED` they do nothing);
    `send_media`, `stop_media`, `transfer` and `hang_up` in `ANSWERED`. Drain `outgoing` after each
    of them.

    Attributes:
        state: what the stream waits for.
        ignored_events: messages with an event name we do not know.
        ignored_fields: fields we do not know, of messages we do.
        late_messages: known messages that came after the end.
    """

    def __init__(
        self,
        now: float,
        *,
        handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S,
        media_timeout_s: float = MEDIA_TIMEOUT_S,
    ) -> None:
        self.state = State.OPENED
        self.ignored_events = 0
        self.ignored_fields = 0
        self.late_messages = 0
        self._media_timeout_s = media_timeout_s
        self._deadline: float | None = now + handshake_timeout_s
        self._caller_id = ""
        self._did = ""
        self._direction: Direction = "incoming"
        self._stream_id = ""
        self._chunk = 0
        self._outgoing: list[str] = []

    def receive(self, data: bytes | str, now: float) -> list[DiallerEvent]:
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
            self._close()
            raise

    def deadline(self) -> float | None:
        """Return when `expire` wants to be called next, or None for not at all."""
        return self._deadline

    def expire(self, now: float) -> list[DiallerEvent]:
        """Let time pass.

        Raises:
            ProtocolError: what was due by now did not come; the stream is `CLOSED` from then on.
        """
        if self._deadline is None or now < self._deadline:
            return []
        waited_for = self.state
        self._close()
        if waited_for is State.ANSWERED:
            raise ProtocolError(
                CloseCode.MEDIA_TIMEOUT, f"no media for {self._media_timeout_s:g} s"
            )
        raise ProtocolError(CloseCode.HANDSHAKE_TIMEOUT, f"no {waited_for.value} in time")

    def send_media(self, pcm: bytes, at: datetime) -> None:
        """Send one chunk of bot audio, stamped with the wall time `at`.

        Raises:
            InvalidState: not answered, or not a multiple of 20 ms up to `MAX_CHUNK_MS`.
        """
        self._require(State.ANSWERED)
        duration_ms = len(pcm) // CHUNK_BYTES * CHUNK_MS
        if len(pcm) % CHUNK_BYTES or not 0 < duration_ms <= MAX_CHUNK_MS:
            raise InvalidState(f"a chunk has a multiple of {CHUNK_BYTES} bytes, not {len(pcm)}")
        self._chunk += 1
        self._send(
            {
                "event": "reverse-media",
                "chunk": self._chunk,
                "did": self._did,
                "payload": encode_audio(pcm),
                "timestamp": at.isoformat(" ", "seconds")[:19],
                "streamId": self._stream_id,
                "callerId": self._caller_id,
                "chunk_durn_ms": duration_ms,
                "callDirection": self._direction,
                "encoding": "LINEAR",
                "RevMediaQ": 0,
                "source": SOURCE,
            }
        )

    def stop_media(self) -> None:
        """Make the dialler drop the bot audio it has not played yet.

        Raises:
            InvalidState: not answered.
        """
        self._require(State.ANSWERED)
        self._send_stop()

    def transfer(self, to: str, *, target: str = "", reason: str = "") -> None:
        """Ask the dialler to connect the caller to `to`; it then hangs up on us.

        Raises:
            InvalidState: not answered.
        """
        self._require(State.ANSWERED)
        self._send_stop()
        self._send(
            {
                "event": "reverse-call-transfer",
                "streamId": self._stream_id,
                "callerId": self._caller_id,
                "transferTo": to,
                "reason": reason,
                "target": target,
                "source": SOURCE,
            }
        )
        self.state = State.TRANSFERRED
        self._deadline = None

    def hang_up(self, message: str) -> None:
        """End the phone call. What the dialler has buffered is dropped, as the protocol wants it.

        Raises:
            InvalidState: not answered, over, or transferred: the call is the dialler's then.
        """
        self._require(State.ANSWERED)
        self._send_stop()
        self._send(
            {
                "event": "reverse-hangup-call",
                "streamId": self._stream_id,
                "callerId": self._caller_id,
                "source": SOURCE,
                "message": message,
            }
        )
        self._close()

    def outgoing(self) -> list[str]:
        """Return the messages to put on the wire since the last call, in order."""
        messages, self._outgoing = self._outgoing, []
        return messages

    def _receive(self, data: bytes | str, now: float) -> list[DiallerEvent]:
        event, fields = parse_message(data)
        if event != "connected":
            if event not in KNOWN_FIELDS:
                self.ignored_events += 1
                return []
            self.ignored_fields += len(fields.keys() - KNOWN_FIELDS[event])
        match event, self.state:
            case "media", State.ANSWERED:
                self._deadline = now + self._media_timeout_s
                return [MediaReceived(decode_audio(fields))]
            case "media", State.TRANSFERRED:
                self.late_messages += 1
                return []
            case "connected", State.OPENED:
                return [self._connect(fields)]
            case "start", State.CONNECTED:
                return [self._start(fields)]
            case "answer", State.STARTED:
                self.state = State.ANSWERED
                self._deadline = now + self._media_timeout_s
                return [Answered()]
            case "hangup-call", state if state is not State.OPENED:
                disconnected_by = coerce_text(fields, "disconnectedBy")
                self._close()
                return [HungUp(disconnected_by)]
        raise ProtocolError(CloseCode.OUT_OF_ORDER, f"expected {self.state.value}, got {event}")

    def _connect(self, fields: dict[str, Any]) -> Connected:
        if len(fields) > MAX_FIELDS:
            raise malformed("connected", f"at most {MAX_FIELDS} fields", fields)
        require_encodable(fields, "connected")
        self._caller_id = coerce_text(fields, "callerId")
        self._did = coerce_text(fields, "did")
        self._direction = coerce_direction(fields)
        self._stream_id = coerce_text(fields, "streamId")
        self.state = State.CONNECTED
        connected_event = {name: value for name, value in fields.items() if name != "event"}
        return Connected(
            self._caller_id, self._did, self._direction, self._stream_id, connected_event
        )

    def _start(self, fields: dict[str, Any]) -> Started:
        require_linear_8k_mono(fields)
        self._stream_id = coerce_text(fields, "streamId") or self._stream_id
        if not self._stream_id:
            raise malformed("streamId", "an id in connected or start", None)
        self.state = State.STARTED
        return Started(self._stream_id)

    def _send_stop(self) -> None:
        self._send(
            {
                "event": "reverse-media-stop",
                "callerId": self._caller_id,
                "streamId": self._stream_id,
            }
        )

    def _send(self, fields: dict[str, Any]) -> None:
        self._outgoing.append(serialize_message(fields))

    def _require(self, state: State) -> None:
        if self.state is not state:
            raise InvalidState(f"not while waiting for {self.state.value}")

    def _close(self) -> None:
        self.state = State.CLOSED
        self._deadline = None
