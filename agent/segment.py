"""One stretch of the bot's voice on its way to the phone, and who follows it there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from agent.heard import BotLine

SAMPLE_BYTES = 2


class Watch(Protocol):
    """Wants to know what becomes of the bot's lines; `agent.latency.TurnClock` does."""

    def sent(self, speech: str) -> None:
        """Audio of a speech leaves for the bridge."""

    def heard(self, speech: str, played_ms: float, lead_in_ms: float) -> None:
        """The phone plays it: since `played_ms` of the leg's clock, after so much silence."""


class Reader(Protocol):
    """Wants to read the bot's lines as they are heard; `agent.captions.Captions` does."""

    def said(self, line: object, text: str, *, is_over: bool) -> None:
        """So much of a line has been heard; no more will be if it `is_over`."""


@dataclass(slots=True)
class Segment:
    """The audio of one line, and how far the phone has played it."""

    number: int
    line: BotLine
    is_aside: bool = False
    """Whether it is words into a wait, which the session knows nothing of."""
    pcm: bytearray = field(default_factory=bytearray)
    played: int = 0
    started: bool = False
    onset: int | None = None
    is_sent: bool = False
    is_heard: bool = False
    is_dropped: bool = False
    plays_on: bool = False
    """Whether no voice pauses it any more."""

    @property
    def pushed(self) -> int:
        """Samples made so far."""
        return len(self.pcm) // SAMPLE_BYTES

    def is_guarded(self, rate_hz: int) -> bool:
        """Return whether it goes on under a voice."""
        is_begun = self.started and self.played < self.line.guard_s * rate_hz
        return self.plays_on or is_begun

    def heard(self, rate_hz: int) -> str:
        """Return what the caller has heard of the line."""
        return self.line.heard(self.played / rate_hz, self.pushed / rate_hz)
