"""What a phone's ear gets: audio played from its arrival on, as a timeline of its own."""

from __future__ import annotations

MIN_GAP_S = 0.01
"""Gaps below half a frame are hidden by a phone's own clock."""
MAX_GAP_S = 0.2
"""Silences above this are the bot's, not the network's."""


class Ear:
    """Plays what arrives at once, or after what is still playing; `clear` drops the rest.

    Args:
        started_at: the timeline's zero.
        jitter_buffer_s: how long audio waits where the phone was silent before.

    Attributes:
        underruns: audible gaps in the middle of speech.
    """

    def __init__(
        self, started_at: float, *, rate_hz: int = 8000, jitter_buffer_s: float = 0.0
    ) -> None:
        self.underruns = 0
        self._started_at = started_at
        self._rate_hz = rate_hz
        self._jitter_buffer_s = jitter_buffer_s
        self._heard = bytearray()

    def play(self, pcm: bytes, now: float) -> None:
        """Take audio that arrived at `now`."""
        gap_s = (self._sample_at(now) - len(self._heard) // 2) / self._rate_hz
        if gap_s > 0 or not self._heard:
            self.underruns += bool(self._heard) and MIN_GAP_S < gap_s < MAX_GAP_S
            gap_s += self._jitter_buffer_s
            self._heard += bytes(round(gap_s * self._rate_hz) * 2)
        self._heard += pcm

    def clear(self, now: float) -> None:
        """Drop what is not played by `now`."""
        del self._heard[self._sample_at(now) * 2 :]

    @property
    def until_s(self) -> float:
        """When what has arrived so far is over, in seconds since the start."""
        return len(self._heard) / 2 / self._rate_hz

    def waveform(self) -> bytes:
        """Return everything heard since the start, silence included."""
        return bytes(self._heard)

    def _sample_at(self, now: float) -> int:
        return max(0, round((now - self._started_at) * self._rate_hz))
