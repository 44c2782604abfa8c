"""A carrier's end of either stream protocol, in the same few words: what the caller speaks through.

Sans-I/O: every method queues text for `outgoing`; `hear` takes what the bot sent.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Protocol

from bridges.wire.dialler_event import BotAudio, BotHungUp, BotStopped
from bridges.wire.dialler_phone import DiallerPhone, PhoneState

LineEvent = BotAudio | BotStopped | BotHungUp


class Line(Protocol):
    """One call: `ring`, `answer`, then `speak` and `hear` until `hang_up`."""

    def ring(self, stream_id: str) -> None:
        """Say that a phone rings, where the protocol can."""
        ...

    def answer(self, stream_id: str) -> None:
        """Say that the caller is there."""
        ...

    def speak(self, pcm: bytes) -> None:
        """Send caller audio: PCM16, 8 kHz, mono."""
        ...

    def hang_up(self) -> None:
        """Say that the caller is gone."""
        ...

    def hear(self, message: bytes | str) -> list[LineEvent]:
        """Take one message of the bot's."""
        ...

    def outgoing(self) -> list[str]:
        """Return what to put on the wire, in order."""
        ...


class DiallerLine:
    """Our dialler's protocol, `docs/protocols/dialler.md`."""

    def __init__(self) -> None:
        self._phone = DiallerPhone()

    def ring(self, stream_id: str) -> None:
        """Offer the call and start its stream."""
        numbers = {"callerId": "+10000000001", "did": "10000000002", "callDirection": "incoming"}
        self._phone.connect({**numbers, "streamId": stream_id})
        self._phone.start(stream_id)

    def answer(self, stream_id: str) -> None:
        """Pick up."""
        if self._phone.state is PhoneState.OPENED:
            self.ring(stream_id)
        self._phone.answer()

    def speak(self, pcm: bytes) -> None:
        """Send caller audio."""
        if self._phone.state is PhoneState.ANSWERED:
            self._phone.send_media(pcm)

    def hang_up(self) -> None:
        """Put the phone down."""
        if self._phone.state is PhoneState.ANSWERED:
            self._phone.hang_up()

    def hear(self, message: bytes | str) -> list[LineEvent]:
        """Take one message; a transfer is none of a benchmark's concern."""
        events = self._phone.receive(message)
        return [event for event in events if isinstance(event, LineEvent)]

    def outgoing(self) -> list[str]:
        """Return what to send."""
        return self._phone.outgoing()


class ExotelLine:
    """Exotel's Voicebot protocol. Its first message is already the answer: it never rings."""

    def __init__(self) -> None:
        self._stream_sid = ""
        self._chunk = 0
        self._sent_ms = 0
        self._outgoing: list[str] = []

    def ring(self, stream_id: str) -> None:
        """Do nothing: a stream begins when the call is up."""

    def answer(self, stream_id: str) -> None:
        """Begin the stream."""
        self._stream_sid = stream_id
        self._send({"event": "connected"})
        self._send(
            {
                "event": "start",
                "sequence_number": "1",
                "stream_sid": stream_id,
                "start": {
                    "stream_sid": stream_id,
                    "call_sid": f"call-{stream_id}",
                    "account_sid": "bench",
                    "from": "+10000000001",
                    "to": "+10000000002",
                    "custom_parameters": {},
                    "media_format": {"encoding": "raw", "sample_rate": "8000", "bit_rate": "16"},
                },
            }
        )

    def speak(self, pcm: bytes) -> None:
        """Send caller audio."""
        self._chunk += 1
        self._sent_ms += len(pcm) // 16
        self._send(
            {
                "event": "media",
                "sequence_number": str(self._chunk + 1),
                "stream_sid": self._stream_sid,
                "media": {
                    "chunk": str(self._chunk),
                    "timestamp": str(self._sent_ms),
                    "payload": base64.b64encode(pcm).decode("ascii"),
                },
            }
        )

    def hang_up(self) -> None:
        """End the stream."""
        stop = {
            "call_sid": f"call-{self._stream_sid}",
            "account_sid": "bench",
            "reason": "callended",
        }
        self._send({"event": "stop", "stream_sid": self._stream_sid, "stop": stop})

    def hear(self, message: bytes | str) -> list[LineEvent]:
        """Take one message; marks are not answered, since neither product sends any."""
        fields: dict[str, Any] = json.loads(message)
        match fields.get("event"):
            case "media":
                return [BotAudio(0, base64.b64decode(fields["media"]["payload"]))]
            case "clear":
                return [BotStopped()]
        return []

    def outgoing(self) -> list[str]:
        """Return what to send."""
        messages, self._outgoing = self._outgoing, []
        return messages

    def _send(self, fields: dict[str, Any]) -> None:
        self._outgoing.append(json.dumps(fields, separators=(",", ":")))
