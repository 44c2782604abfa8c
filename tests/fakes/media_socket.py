"""A call's media in memory: what was sent is kept, what arrives is up to the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridges.sip.rtp_stream import CallerAudio, MediaStarted, RtpEvent
from bridges.wire.dtmf import Digit
from bridges.wire.media_plan import MediaPlan

FRAME = bytes(320)


class MemorySocket:
    """Stands in for `bridges.sip.rtp_socket.RtpSocket`. Pass `open` to a leg.

    Attributes:
        plans: what was applied, in order.
        sent: frames that left.
        digits: what was pressed as media.
        fails_with: raised instead of opening.
    """

    def __init__(self) -> None:
        self.port = 41000
        self.plans: list[MediaPlan] = []
        self.signalled_from = ""
        self.sent: list[bytes] = []
        self.digits: list[str] = []
        self.is_started = False
        self.is_closed = False
        self.received_packets = 0
        self.fails_with: Exception | None = None
        self._emit: Callable[[RtpEvent], None] = lambda _: None

    async def open(self, emit: Callable[[RtpEvent], None]) -> MemorySocket:
        """Open it."""
        if self.fails_with is not None:
            raise self.fails_with
        self._emit = emit
        return self

    def receive(self, pcm: bytes = FRAME) -> None:
        """Let a packet arrive."""
        self.received_packets += 1
        if self.received_packets == 1:
            self._emit(MediaStarted())
        if self.is_started:
            self._emit(CallerAudio(pcm))

    def press(self, digit: str) -> None:
        """Let a key's packets arrive."""
        self.received_packets += 1
        self._emit(Digit(digit, 160))

    def apply(self, plan: MediaPlan, *, signalled_from: str = "") -> None:
        self.plans.append(plan)
        self.signalled_from = signalled_from

    def start(self) -> None:
        self.is_started = True

    def send(self, pcm: bytes) -> bool:
        is_possible = self.is_started and self.plans[-1].direction.sends
        if is_possible:
            self.sent.append(pcm)
        return is_possible

    def send_digits(self, digits: str) -> float:
        if self.plans[-1].dtmf_payload_type is None:
            return 0.0
        self.digits.append(digits)
        return 0.24 * len(digits)

    def stats(self) -> dict[str, Any]:
        return {"received_packets": self.received_packets, "lost_packets": 0}

    async def close(self) -> None:
        self.is_closed = True
