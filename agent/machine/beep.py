"""The beep of a mailbox in a caller's audio: one steady tone between silences; pure.

Speech has many harmonics, music goes on after a note. Lines that ring or are engaged may well sound
like a beep, and so may a tune's last note: such a tone alone proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 0.032
HOP_S = 0.016
LOWEST_HZ = 350.0
HIGHEST_HZ = 2200.0
SHORTEST_S = 0.15
LONGEST_S = 3.5
"""A tone that lasts longer is a fax machine's, or no beep at all."""
QUIET_AFTER_S = 0.08
"""A note of a melody is followed by the next one sooner."""
_PURE = 0.88
"""How much of the sound's energy lies within the tone."""
_LOUD_RMS = 150.0
_DROP = 0.1
"""Silence after a beep has at most so much of its energy."""
_STEADY_HZ = 40.0
_RINGING_HZ = 500.0
"""Lines ring, and are engaged, below this: 350 to 480 Hz."""
_NOTE_S = 0.1
_TUNE_S = 0.5
"""A tone that follows another one sooner is part of a tune, or of a signal."""


@dataclass(frozen=True, slots=True)
class Beep:
    """A beep, in seconds since the first audio.

    Attributes:
        start_s: when it began.
        end_s: when it ended.
        hz: its frequency.
        is_tune: whether another tone came right before it.
    """

    start_s: float
    end_s: float
    hz: float
    is_tune: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it is a mailbox's though nothing else says so."""
        return self.hz >= _RINGING_HZ and not self.is_tune


@dataclass(slots=True)
class _Tone:
    start_s: float
    end_s: float
    hz: float
    power: float


class BeepDetector:
    """Follows audio of one rate.

    Attributes:
        is_tone: whether what is heard now is a tone; then it is no voice.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._size = int(rate_hz * WINDOW_S)
        self._hop = int(rate_hz * HOP_S)
        self._taper = np.hanning(self._size).astype(np.float32)
        self._hz = np.fft.rfftfreq(self._size, 1 / rate_hz)
        self._rest = np.zeros(0, np.float32)
        self._at_s = 0.0
        self._tone: _Tone | None = None
        self._note_end_s = float("-inf")
        self.is_tone = False

    def hear(self, pcm: bytes) -> list[Beep]:
        """Take more PCM16; return the beeps that are over by its end."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        self._rest = np.concatenate([self._rest, samples])
        found = []
        while self._rest.size >= self._size:
            beep = self._look(self._rest[: self._size])
            if beep is not None:
                found.append(beep)
            self._rest = self._rest[self._hop :]
            self._at_s += HOP_S
        return found

    def _look(self, window: NDArray[np.float32]) -> Beep | None:
        power = float(np.mean(window * window))
        hz = self._tone_hz(window) if power >= _LOUD_RMS**2 else 0.0
        self.is_tone = hz > 0
        tone = self._tone
        end_s = self._at_s + WINDOW_S
        if tone is not None and self.is_tone and abs(hz - tone.hz) <= _STEADY_HZ:
            tone.end_s = end_s
            tone.power = max(tone.power, power)
            return None
        if tone is not None and power > _DROP * tone.power:
            # The window that holds its end has some of it still.
            if end_s - tone.end_s > WINDOW_S:
                self._tone = None
                self._noted(tone)
        elif tone is not None:
            if end_s - tone.end_s < QUIET_AFTER_S:
                return None
            self._tone = None
            is_tune = tone.start_s - self._note_end_s < _TUNE_S
            self._noted(tone)
            if SHORTEST_S <= tone.end_s - tone.start_s <= LONGEST_S:
                return Beep(tone.start_s, tone.end_s, tone.hz, is_tune)
        if self._tone is None and self.is_tone:
            self._tone = _Tone(self._at_s, end_s, hz, power)
        return None

    def _noted(self, tone: _Tone) -> None:
        if tone.end_s - tone.start_s >= _NOTE_S:
            self._note_end_s = tone.end_s

    def _tone_hz(self, window: NDArray[np.float32]) -> float:
        """Return the frequency of the one tone in a window; 0.0 where there is more or none."""
        spectrum = np.abs(np.fft.rfft(window * self._taper)) ** 2
        peak = int(np.argmax(spectrum))
        around = spectrum[max(0, peak - 2) : peak + 3]
        total = float(spectrum.sum())
        if not LOWEST_HZ <= self._hz[peak] <= HIGHEST_HZ or float(around.sum()) < _PURE * total:
            return 0.0
        at = np.arange(max(0, peak - 2), max(0, peak - 2) + around.size)
        return float((at * around).sum() / around.sum() * self._rate_hz / self._size)
