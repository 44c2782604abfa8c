"""What was heard, as numbers: where there was sound, and which tone it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.peer.speech import RATE_HZ
from bridges.audio.waveform import Span

WINDOW_S = 0.005
LOUD_RMS = 500.0
JOIN_S = 0.3
"""Gaps shorter than this belong to one utterance."""
TONE_WINDOW_S = 0.2
"""Long enough to tell tones 40 Hz apart."""
EDGE_S = 0.02


@dataclass(frozen=True, slots=True)
class Heard:
    """One call's bot audio as a phone played it, from the answer on."""

    samples: NDArray[np.float64]
    spans: tuple[Span, ...]

    @classmethod
    def of(cls, pcm: bytes) -> Heard:
        """Find the sound in PCM16 at 8 kHz."""
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.float64)
        size = round(WINDOW_S * RATE_HZ)
        windows = samples[: len(samples) // size * size].reshape(-1, size)
        loud = np.flatnonzero(np.sqrt(np.mean(windows * windows, axis=1)) >= LOUD_RMS)
        return cls(samples, tuple(_spans(loud)))

    @property
    def speech_s(self) -> float:
        """How much of it was speech."""
        return sum(span.end_s - span.start_s for span in self.spans)

    def tone_hz(self, span: Span) -> float:
        """Return the strongest frequency after a span's start; 0.0 where it is too short."""
        start = round((span.start_s + EDGE_S) * RATE_HZ)
        end = round(min(span.end_s - EDGE_S, span.start_s + EDGE_S + TONE_WINDOW_S) * RATE_HZ)
        piece = self.samples[start:end]
        if len(piece) < RATE_HZ // 20:
            return 0.0
        # Padded to a second: one bin per hertz.
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), n=RATE_HZ))
        return float(np.argmax(spectrum))


def _spans(loud: NDArray[np.intp]) -> list[Span]:
    spans: list[Span] = []
    for window in loud:
        start_s, end_s = float(window) * WINDOW_S, float(window + 1) * WINDOW_S
        if spans and start_s - spans[-1].end_s < JOIN_S:
            start_s = spans.pop().start_s
        spans.append(Span(start_s, end_s))
    return spans
