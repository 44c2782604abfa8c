"""Where speech starts and stops in a waveform, by its energy: for measuring calls from outside."""

from __future__ import annotations

import array
from dataclasses import dataclass
from operator import mul

WINDOW_S = 0.01
LOUD_RMS = 300.0
"""About -41 dBFS: above a line's noise, below the quietest syllable."""
JOIN_S = 0.3
"""Pauses shorter than this belong to one utterance."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of sound, in seconds from the waveform's start."""

    start_s: float
    end_s: float


def samples_of(pcm: bytes) -> array.array[int]:
    """Return PCM16 as numbers; half a sample at the end is left out."""
    return array.array("h", pcm[: len(pcm) // 2 * 2])


def loud_spans(
    pcm: bytes, *, rate_hz: int = 8000, loud_rms: float = LOUD_RMS, join_s: float = JOIN_S
) -> list[Span]:
    """Return the stretches of sound in PCM16 mono, in order."""
    samples = samples_of(pcm)
    size = int(rate_hz * WINDOW_S)
    threshold = loud_rms * loud_rms * size
    spans: list[Span] = []
    for window in range(len(samples) // size):
        piece = samples[window * size : (window + 1) * size]
        if sum(map(mul, piece, piece)) < threshold:
            continue
        start_s, end_s = window * WINDOW_S, (window + 1) * WINDOW_S
        if spans and start_s - spans[-1].end_s < join_s:
            start_s = spans.pop().start_s
        spans.append(Span(start_s, end_s))
    return spans
