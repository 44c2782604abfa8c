"""What the stand-in voice says: a tone of each reference's own, as long as the text would take."""

from __future__ import annotations

import numpy as np

Samples = np.ndarray[tuple[int], np.dtype[np.int16]]

PLAIN_HZ = 250.0
_BASE_HZ = 300.0
_STEP_HZ = 40.0
_VOICES = 40
_AMPLITUDE = 8000
_CHARACTERS_PER_S = 15
_SHORTEST_S = 0.2
_EDGE_S = 0.004


def tone_hz(connection: int | None) -> float:
    """Return the frequency that the STT connection `R<n>` is answered in; None: nobody's."""
    return PLAIN_HZ if connection is None else _BASE_HZ + _STEP_HZ * (connection % _VOICES)


def duration_s(text: str) -> float:
    """Return how long the voice takes to say `text`."""
    return max(_SHORTEST_S, len(text.strip()) / _CHARACTERS_PER_S)


def tone(frequency_hz: float, seconds: float, rate_hz: int) -> Samples:
    """Return a tone that rises and falls softly, so that its ends do not click."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    edge = np.minimum(1.0, np.minimum(time_s, seconds - time_s) / _EDGE_S).clip(0.0)
    wave = _AMPLITUDE * edge * np.sin(2 * np.pi * frequency_hz * time_s)
    samples: Samples = wave.astype("<i2")
    return samples


def to_ulaw(samples: Samples) -> bytes:
    """Return G.711 µ-law of 16 bit samples."""
    bias, clip = 0x84, 32635
    value = np.minimum(np.abs(samples.astype(np.int32)), clip) + bias
    exponent = np.floor(np.log2(value)).astype(np.int32) - 7
    mantissa = (value >> (exponent + 3)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    code: bytes = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes()
    return code
