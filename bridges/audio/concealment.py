"""What is heard where audio is missing: the last pitch period again, fading into the line's noise.

In the manner of ITU-T G.711 appendix I, but without its delay: instead of holding back what was
received, the seam is smoothed on the side that is made up.
"""

from __future__ import annotations

import array
import random
from operator import mul

RATE_HZ = 8000
MIN_LAG, MAX_LAG = 20, 160
"""Pitch periods looked for, in samples: 400 to 50 Hz."""
WINDOW = 120
"""How much of the past is compared with itself."""
SOLID = 80
"""How long the repetition keeps its loudness: 10 ms."""
FADE = 400
"""How long it then takes to fade: 50 ms. A voice that breaks off is better than one that buzzes."""
SEAM = 32
"""Samples over which made-up sound goes over into real sound: 4 ms."""
NOISE_RISE = 1.02
"""How fast the estimate of the line's noise rises per frame; it falls at once."""
MAX_NOISE = 400
"""Louder than this nothing is taken for noise."""

_HISTORY = MAX_LAG + WINDOW
_SOURCE = random.Random(3389)
_NOISE = [_SOURCE.uniform(-1.0, 1.0) for _ in range(8000)]


class Concealer:
    """One direction of one call: tell it all that is played, and ask it for what is missing.

    PCM is signed 16-bit, at 8 kHz.
    """

    def __init__(self) -> None:
        self._past = array.array("h", bytes(2 * _HISTORY))
        self._gap = 0
        self._period: list[float] = []
        self._step = 0.0
        self._floor = 0.0
        self._level: float | None = None
        self._noise_at = 0

    def play(self, pcm: bytes) -> bytes:
        """Return received audio as it is to be played; after a gap its beginning is blended in."""
        samples = array.array("h", pcm)
        if not samples:
            return pcm
        if self._gap:
            length = min(SEAM, len(samples))
            for at, made_up in enumerate(self._continue(length)):
                share = (at + 1) / (length + 1)
                samples[at] = round(samples[at] * share + made_up * (1 - share))
            self._gap = 0
        peak = max(max(samples[::4]), -min(samples[::4]))
        self._floor = min(float(peak), self._floor * NOISE_RISE + 1, MAX_NOISE)
        self._remember(samples)
        return samples.tobytes()

    def conceal(self, samples: int) -> bytes:
        """Return that many samples, at most a second, in place of lost ones."""
        if not self._gap:
            self._period, self._step = _last_period(self._past)
        return self._emit(samples)

    def rest(self, samples: int) -> bytes:
        """Return that many samples, at most a second, of a pause that is one: the line's noise, or
        what `describe_noise` says."""
        if not self._gap:
            # The voice is over; only its last sample must not end in a step.
            self._period, self._step = [0.0], float(self._past[-1])
        return self._emit(samples)

    def describe_noise(self, payload: bytes) -> None:
        """Take a comfort noise packet, RFC 3389: the first octet is the level in -dBov."""
        if payload:
            rms = 32768 * 10 ** (-(payload[0] & 0x7F) / 20)
            # Uniform noise has its peak at √3 times its root mean square.
            self._level = min(rms * 3**0.5, 2.0 * MAX_NOISE)

    def _emit(self, length: int) -> bytes:
        values = self._continue(length)
        samples = array.array("h", [max(-32768, min(32767, round(value))) for value in values])
        self._remember(samples)
        return samples.tobytes()

    def _remember(self, samples: array.array[int]) -> None:
        self._past.extend(samples)
        del self._past[:-_HISTORY]

    def _continue(self, length: int) -> list[float]:
        """Return what is made up next; it goes on where it stopped as long as the gap does."""
        values = self._noise(length)
        gap, period = self._gap, self._period
        for at in range(min(length, max(0, SOLID + FADE - gap))):
            since = gap + at
            gain = min(1.0, (SOLID + FADE - since) / FADE)
            values[at] = values[at] * (1 - gain) + period[since % len(period)] * gain
            if since < SEAM:
                values[at] += self._step * (1 - since / SEAM)
        self._gap += length
        return values

    def _noise(self, length: int) -> list[float]:
        level = self._level if self._level is not None else self._floor / 2
        if level < 1:
            return [0.0] * length
        at = self._noise_at % (len(_NOISE) - length + 1)
        self._noise_at = at + length
        return [value * level for value in _NOISE[at : at + length]]


def _last_period(past: array.array[int]) -> tuple[list[float], float]:
    """Return the last pitch period, fit to be repeated, and the step from its end to its start."""
    lag = _pitch_lag(past)
    period = [float(value) for value in past[-lag:]]
    quarter = lag // 4
    # Its last quarter goes over into what came before its start, so that it joins itself.
    for at in range(quarter):
        share = (at + 1) / quarter
        before = past[-lag - quarter + at]
        period[lag - quarter + at] = period[lag - quarter + at] * (1 - share) + before * share
    return period, past[-1] - past[-lag - 1]


def _pitch_lag(past: array.array[int]) -> int:
    """Return at which distance the past is most like itself: coarsely first, then exactly."""
    coarse = max(range(MIN_LAG, MAX_LAG + 1, 2), key=lambda lag: _likeness(past, lag, 2))
    near = range(max(MIN_LAG, coarse - 1), min(MAX_LAG, coarse + 1) + 1)
    return max(near, key=lambda lag: _likeness(past, lag, 1))


def _likeness(past: array.array[int], lag: int, stride: int) -> float:
    recent = past[-WINDOW::stride]
    earlier = past[-WINDOW - lag : -lag : stride]
    energy = sum(map(mul, earlier, earlier))
    return float(sum(map(mul, recent, earlier)) / (energy + 1) ** 0.5)
