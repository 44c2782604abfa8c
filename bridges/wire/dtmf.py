"""Digits as RTP events, RFC 4733: packets in, one `Digit` per press out; and the way back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

DIGITS = "0123456789*#ABCD"
"""Events 0 to 15 in order. Everything above, flash (16) included, is no digit and ignored."""
PAUSE = ","
PAUSE_MS = 500
MAX_SENT = 64
"""Digits and pauses in one go."""
MIN_DURATION_MS, MAX_DURATION_MS = 100, 250
MIN_GAP_MS = 50
STEP_MS = 20
END_PACKETS = 3
"""RFC 4733 section 2.5.1.4: the last packet is sent three times, for one that gets lost."""
LOST_END_S = 0.25
"""A press not heard of for this long is over. Updates come every 20 to 50 ms."""
MIN_APART_MS = 40
"""Digits that begin closer to each other no finger pressed, and no tone generator either."""

_RATE_KHZ = 8
_VOLUME = 10
"""-10 dBm0, a telephone's."""
_REMEMBERED = 16


@dataclass(frozen=True, slots=True)
class Digit:
    """A key was pressed and released; `char` is one of `DIGITS`."""

    char: str
    duration_ms: int


class DtmfReceiver:
    """Event packets in, in any order and number of copies; one `Digit` per press out.

    A press is known by its RTP timestamp. It is told when it ends: by an end packet, by the next
    press, or by `expire`.

    Attributes:
        ignored: packets that are no digit's: too short, other events, a flood.
    """

    def __init__(self) -> None:
        self.ignored = 0
        self._char = ""
        self._segment = 0
        self._segment_samples = 0
        self._before_samples = 0
        self._heard_at = 0.0
        self._over: deque[int] = deque(maxlen=_REMEMBERED)

    def receive(self, payload: bytes, timestamp: int, now: float) -> list[Digit]:
        """Take a packet's payload and RTP timestamp and return the presses that are over."""
        if len(payload) < 4 or payload[0] >= len(DIGITS):
            self.ignored += 1
            return []
        if timestamp in self._over:
            return []
        char, ends = DIGITS[payload[0]], bool(payload[1] & 0x80)
        digits: list[Digit] = []
        if self._char and timestamp != self._segment:
            since = _since(self._segment, timestamp)
            if since < 0:
                return []
            if char == self._char and since <= self._segment_samples + STEP_MS * _RATE_KHZ:
                # Section 2.5.1.3: a press longer than the field goes on as another segment.
                self._over.append(self._segment)
                self._before_samples += since
                self._segment, self._segment_samples = timestamp, 0
            else:
                digits = self._release()
        if not self._char:
            if self._over and abs(_since(self._over[-1], timestamp)) < MIN_APART_MS * _RATE_KHZ:
                self.ignored += 1
                return digits
            self._char, self._segment = char, timestamp
            self._segment_samples = self._before_samples = 0
        duration = int.from_bytes(payload[2:4], "big")
        self._segment_samples = max(self._segment_samples, duration)
        self._heard_at = now
        return digits + (self._release() if ends else [])

    def deadline(self) -> float | None:
        """Return when a press will be over for want of news; None while none is going on."""
        return self._heard_at + LOST_END_S if self._char else None

    def expire(self, now: float) -> list[Digit]:
        """Return the press whose end was lost, if there is one."""
        deadline = self.deadline()
        return [] if deadline is None or now < deadline else self._release()

    def _release(self) -> list[Digit]:
        samples = self._before_samples + self._segment_samples
        digit = Digit(self._char, samples // _RATE_KHZ)
        self._over.append(self._segment)
        self._char = ""
        return [digit]


@dataclass(frozen=True, slots=True)
class EventPacket:
    """Send this now, `samples` being the time it accounts for."""

    payload: bytes
    begins: bool
    samples: int


def digit_steps(
    digits: str, *, duration_ms: int = 160, gap_ms: int = 80
) -> Iterator[EventPacket | None]:
    """Return what to send at each step of 20 ms: a packet, or None for a gap.

    Raises:
        ValueError: no digit or too many, or a duration or gap out of bounds.
    """
    if not 0 < len(digits) <= MAX_SENT or not set(digits.upper()) <= set(DIGITS + PAUSE):
        raise ValueError(f"expected 1 to {MAX_SENT} of {DIGITS} and commas")
    if not MIN_DURATION_MS <= duration_ms <= MAX_DURATION_MS or gap_ms < MIN_GAP_MS:
        raise ValueError("a digit takes 100 to 250 ms, with a gap of at least 50 ms after it")
    return _steps(digits.upper(), duration_ms // STEP_MS, -(-gap_ms // STEP_MS))


def steps_of(digits: str, *, duration_ms: int = 160, gap_ms: int = 80) -> int:
    """Return how many steps `digit_steps` takes for them."""
    return sum(1 for _ in digit_steps(digits, duration_ms=duration_ms, gap_ms=gap_ms))


def _steps(digits: str, updates: int, gaps: int) -> Iterator[EventPacket | None]:
    for char in digits:
        if char == PAUSE:
            yield from [None] * (PAUSE_MS // STEP_MS)
            continue
        samples = STEP_MS * _RATE_KHZ
        for update in range(1, updates + 1):
            ends = update == updates
            yield EventPacket(_payload(char, update * samples, ends), update == 1, samples)
        # The repetitions are sent in the gap, so the clock runs on through them.
        for _ in range(END_PACKETS - 1):
            yield EventPacket(_payload(char, updates * samples, True), False, samples)
        yield from [None] * max(0, gaps - (END_PACKETS - 1))


def _payload(char: str, duration: int, ends: bool) -> bytes:
    return bytes([DIGITS.index(char), (0x80 if ends else 0) | _VOLUME]) + duration.to_bytes(
        2, "big"
    )


def _since(earlier: int, later: int) -> int:
    """Return how many samples lie between two timestamps that may have rolled over."""
    return ((later - earlier + 2**31) & 0xFFFFFFFF) - 2**31
