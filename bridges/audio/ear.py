"""What a phone's ear gets: audio played from its arrival on, as a timeline of its own."""

from __future__ import annotations

from collections import deque

from bridges.audio.waveform import loud_spans

MIN_GAP_S = 0.01
"""Gaps below half a frame are hidden by a phone's own clock."""
MAX_GAP_S = 1.0
"""Silences above this are the bot's, whatever sounds around them."""
EDGE_S = 0.02
"""How much on either side of a gap is looked at: sound, or a pause anyway."""


class Ear:
    """Plays what arrives at once, or after what is still playing.

    `clear` drops what is not begun: a message that plays already is played to its end, as carriers
    do it.

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
        self._playing: deque[tuple[int, int]] = deque()
        self._cleared = False

    def play(self, pcm: bytes, now: float) -> float:
        """Take a message that arrived at `now`.

        Returns:
            For how long speech had broken off for want of it, in seconds.
        """
        here = self._sample_at(now)
        gap_s = (here - len(self._heard) // 2) / self._rate_hz
        late_s = 0.0
        if gap_s > 0 or not self._heard:
            late_s = gap_s if gap_s > 0 and self._breaks_off(pcm) else 0.0
            self.underruns += MIN_GAP_S < late_s < MAX_GAP_S
            self._heard += bytes(round((gap_s + self._jitter_buffer_s) * self._rate_hz) * 2)
        start = len(self._heard) // 2
        self._heard += pcm
        while self._playing and self._playing[0][1] <= here:
            self._playing.popleft()
        self._playing.append((start, len(self._heard) // 2))
        self._cleared = False
        return late_s if late_s < MAX_GAP_S else 0.0

    def clear(self, now: float) -> None:
        """Drop every message that is not begun by `now`."""
        here = self._sample_at(now)
        begun = [end for start, end in self._playing if start < here]
        del self._heard[max([here, *begun]) * 2 :]
        self._playing = deque(span for span in self._playing if span[0] < here)
        self._cleared = True

    @property
    def until_s(self) -> float:
        """When what has arrived so far is over, in seconds since the start."""
        return len(self._heard) / 2 / self._rate_hz

    def waveform(self) -> bytes:
        """Return everything heard since the start, silence included."""
        return bytes(self._heard)

    def _breaks_off(self, pcm: bytes) -> bool:
        """Whether a gap before `pcm` is heard as one: sound before it and sound after it."""
        if self._cleared:
            return False
        edge = int(EDGE_S * self._rate_hz) * 2
        before, after = bytes(self._heard[-edge:]), pcm[:edge]
        return all(loud_spans(side, rate_hz=self._rate_hz) for side in (before, after))

    def _sample_at(self, now: float) -> int:
        return max(0, round((now - self._started_at) * self._rate_hz))
