"""A tone, where it matters that something is heard and not what."""

from __future__ import annotations

import array
import math

RATE_HZ = 8000


def tone(seconds: float, frequency_hz: int = 600) -> bytes:
    """Return a tone: 16 bit, 8 kHz, mono."""
    step = 2 * math.pi * frequency_hz / RATE_HZ
    samples = (int(9000 * math.sin(step * n)) for n in range(int(seconds * RATE_HZ)))
    return array.array("h", samples).tobytes()
