"""One way for audio to travel: what every way offers to the two ends that measure it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

RATE_HZ = 8000


@dataclass(slots=True)
class Trips:
    """What left and what came back, by number; times in monotonic seconds."""

    sent_at: dict[int, float] = field(default_factory=dict)
    back_at: dict[int, float] = field(default_factory=dict)

    def returned(self, number: int, now: float) -> None:
        """Note that a number is back; its first return counts."""
        if number in self.sent_at:
            self.back_at.setdefault(number, now)


@dataclass(frozen=True, slots=True)
class Concealed:
    """Audio a jitter buffer had to make up because none was there."""

    samples: int = 0
    gaps: int = 0
    of_samples: int = 0


class Wire(Protocol):
    """One room's end. An echoing end sends back what it hears and never `speak`s."""

    trips: Trips
    frame_s: float

    async def join(self, url: str, token: str, peer: str) -> None:
        """Join a room; `peer` is the other end's identity."""
        ...

    def speak(self, number: int, now: float) -> None:
        """Send the `number`-th frame of `frame_s`."""
        ...

    async def concealed(self) -> Concealed:
        """Return what this end's jitter buffer made up so far."""
        ...

    async def leave(self) -> None:
        """Leave the room."""
        ...
