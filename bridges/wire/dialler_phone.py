"""The dialler's WebSocket protocol, the dialler's end: for the softphone, tests and load."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from bridges.wire.close import CloseCode, InvalidState, ProtocolError
from bridges.wire.dialler_event import (
    BotAudio,
    BotHungUp,
    BotStopped,
    PhoneEvent,
    TransferAsked,
)
from bridges.wire.dialler_message import RATE_HZ
from bridges.wire.message import (
    coerce_number,
    coerce_text,
    decode_audio,
    encode_audio,
    malformed,
    parse_message,
    serialize_message,
)


class PhoneState(Enum):
    """What has been said so far."""

    OPENED = "opened"
    CONNECTED = "connected"
    STARTED = "started"
    ANSWERED = "answered"
    CLOSED = "closed"


class DiallerPhone:
    """One stream as the dialler sees it.

    Which call is legal when: `connect`, `start`, `answer`, once each and in this order;
    `send_media` after `answer`; `hang_up` after `connect`; `receive` always. Once `CLOSED`, nothing
    but `receive` is legal, and it does nothing. There are no deadlines at this end.

    Attributes:
        state: how far the call has come.
        ignored_events: messages with an event name we do not know.
    """

    def __init__(self) -> None:
        self.state = PhoneState.OPENED
        self.ignored_events = 0
        self._outgoing: list[str] = []

    def connect(self, fields: Mapping[str, Any]) -> None:
        """Offer a call: `callerId`, `did`, `callDirection`, and whatever a CRM adds.

        Raises:
            InvalidState: offered before.
        """
        self._advance(PhoneState.OPENED, PhoneState.CONNECTED)
        self._send({"event": "connected", **fields})

    def start(self, stream_id: str) -> None:
        """Name the stream and its format.

        Raises:
            InvalidState: not offered, or started before.
        """
        self._advance(PhoneState.CONNECTED, PhoneState.STARTED)
        media_format = {"encoding": "LINEAR", "sampleRate": RATE_HZ, "channels": 1}
        self._send({"event": "start", "streamId": stream_id, "mediaFormat": media_format})

    def answer(self) -> None:
        """Say that the phone was picked up.

        Raises:
            InvalidState: not started, or answered before.
        """
        self._advance(PhoneState.STARTED, PhoneState.ANSWERED)
        self._send({"event": "answer"})

    def send_media(self, pcm: bytes) -> None:
        """Send caller audio: PCM16, 8 kHz, mono.

        Raises:
            InvalidState: not answered, or over.
        """
        self._require(PhoneState.ANSWERED)
        self._send({"event": "media", "payload": encode_audio(pcm)})

    def hang_up(self, disconnected_by: str = "customer") -> None:
        """Say that the phone is gone.

        Raises:
            InvalidState: not offered, or over.
        """
        self._require(PhoneState.CONNECTED, PhoneState.STARTED, PhoneState.ANSWERED)
        self._send({"event": "hangup-call", "disconnectedBy": disconnected_by})
        self.state = PhoneState.CLOSED

    def receive(self, data: bytes | str) -> list[PhoneEvent]:
        """Take one message of the bot's and return what it means.

        Raises:
            ProtocolError: the message breaks the protocol; the stream is `CLOSED` from then on.
        """
        if self.state is PhoneState.CLOSED:
            return []
        try:
            return self._receive(data)
        except ProtocolError:
            self.state = PhoneState.CLOSED
            raise

    def outgoing(self) -> list[str]:
        """Return the messages to put on the wire since the last call, in order."""
        messages, self._outgoing = self._outgoing, []
        return messages

    def _receive(self, data: bytes | str) -> list[PhoneEvent]:
        event, fields = parse_message(data)
        if not event.startswith("reverse-"):
            self.ignored_events += 1
            return []
        if self.state is not PhoneState.ANSWERED:
            raise ProtocolError(CloseCode.OUT_OF_ORDER, f"{event} before answer")
        match event:
            case "reverse-media":
                chunk = coerce_number(fields.get("chunk"))
                if chunk is None:
                    raise malformed("chunk", "a whole number", fields.get("chunk"))
                return [BotAudio(chunk, decode_audio(fields))]
            case "reverse-media-stop":
                return [BotStopped()]
            case "reverse-hangup-call":
                self.state = PhoneState.CLOSED
                return [BotHungUp(coerce_text(fields, "message"))]
            case "reverse-call-transfer":
                to, target = coerce_text(fields, "transferTo"), coerce_text(fields, "target")
                return [TransferAsked(to, target, coerce_text(fields, "reason"))]
        self.ignored_events += 1
        return []

    def _advance(self, before: PhoneState, after: PhoneState) -> None:
        self._require(before)
        self.state = after

    def _send(self, fields: dict[str, Any]) -> None:
        self._outgoing.append(serialize_message(fields))

    def _require(self, *states: PhoneState) -> None:
        if self.state not in states:
            raise InvalidState(f"not while {self.state.value}")
