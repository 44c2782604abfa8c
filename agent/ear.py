"""When a voice ends and begins, by its energy: pure, on the clock of the phone's leg.

A voice detector says that speech ended a good while after it did. What the caller waits for begins
with the last sound they made, and that is in the audio.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOWS_PER_S = 100
LOUD_RMS = 300.0
"""About -41 dBFS: above a good line's noise, below the quietest syllable."""
MAX_LOUD_RMS = 1500.0
"""On a line noisier than this allows for, nobody can tell speech from noise by energy."""
_OVER_FLOOR = 10.0
"""Speech has ten times the energy of the quietest moment in the last two seconds."""
_FLOOR_PACKETS = 50
_JOIN_WINDOWS = 5
_CLICK_WINDOWS = 3
_TAIL_WINDOWS = 30
"""A short burst is a click, unless it follows speech so closely: then it is a last consonant."""
_MAX_RUNS = 32


@dataclass(slots=True)
class _Run:
    """Sound without a pause worth the name, in windows since the first audio."""

    first: int
    end: int
    loud: int
    offset_ms: float
    """The leg's time of window 0, as far as audio since then has shown."""


class Ear:
    """Keeps the last stretches of sound in what the caller sends."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._samples = 0
        self._windows = 0
        self._rest = b""
        self._floors: deque[float] = deque(maxlen=_FLOOR_PACKETS)
        self._runs: deque[_Run] = deque(maxlen=_MAX_RUNS)
        self.follower: Callable[[bytes], None] | None = None
        """Who else is given all audio, if somebody is."""

    def hear(self, pcm: bytes, at_ms: float) -> None:
        """Take caller audio that ended at `at_ms` of the leg's clock."""
        if not pcm:
            return
        if self.follower is not None:
            self.follower(pcm)
        self._samples += len(pcm) // 2
        offset_ms = at_ms - 1000 * self._samples / self._rate_hz
        if self._runs:
            # Audio may come late but never early: the earliest packet is nearest to the truth.
            last = self._runs[-1]
            last.offset_ms = min(last.offset_ms, offset_ms)
        levels, self._rest = _levels(self._rest + pcm, self._rate_hz)
        if not len(levels):
            return
        self._floors.append(float(np.min(levels)))
        loudest = float(np.max(levels))
        threshold = _threshold(min(self._floors))
        if loudest >= threshold:
            for window in np.flatnonzero(levels >= threshold):
                self._note(self._windows + int(window), offset_ms)
        self._windows += len(levels)

    def speech_end(self, by_ms: float) -> float | None:
        """Return when the last sound before `by_ms` ended; None if it went on, or none was."""
        for index in range(len(self._runs) - 1, -1, -1):
            run = self._runs[index]
            if _at_ms(run, run.first) >= by_ms:
                continue
            end_ms = _at_ms(run, run.end)
            if end_ms > by_ms:
                return None
            follows = index > 0 and run.first - self._runs[index - 1].end <= _TAIL_WINDOWS
            if follows or run.loud >= _CLICK_WINDOWS:
                return end_ms
        return None

    def _note(self, window: int, offset_ms: float) -> None:
        last = self._runs[-1] if self._runs else None
        if last is not None and window - last.end <= _JOIN_WINDOWS:
            last.end = window + 1
            last.loud += 1
        else:
            self._runs.append(_Run(window, window + 1, 1, offset_ms))


def onset(pcm: bytes, rate_hz: int) -> int | None:
    """Return the first sample of the first sound in PCM16; None if it is silent throughout."""
    levels, _ = _levels(pcm, rate_hz)
    loud = np.flatnonzero(levels >= LOUD_RMS**2)
    return int(loud[0]) * (rate_hz // WINDOWS_PER_S) if len(loud) else None


def _levels(pcm: bytes, rate_hz: int) -> tuple[NDArray[np.float32], bytes]:
    """Return the mean square of each whole window, and what is left over."""
    size = rate_hz // WINDOWS_PER_S
    count = len(pcm) // (2 * size)
    whole = 2 * size * count
    samples = np.frombuffer(pcm, dtype="<i2", count=size * count).astype(np.float32)
    windows = samples.reshape(count, size)
    return np.einsum("ij,ij->i", windows, windows) / size, pcm[whole:]


def _threshold(floor: float) -> float:
    return min(max(LOUD_RMS**2, _OVER_FLOOR * floor), MAX_LOUD_RMS**2)


def _at_ms(run: _Run, window: int) -> float:
    return run.offset_ms + 1000 * window / WINDOWS_PER_S
