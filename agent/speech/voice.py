"""The offline voice: hibari behind a small seam, with its silence trimmed and a cache for fixed
lines.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from threading import Lock

import numpy as np
import numpy.typing as npt
from hibari import Hibari

from agent.speech.spoken import spoken

RATE_HZ = 24_000
_LOUD = 0.01
"""What counts as sound, as a share of full scale: hibari's own noise floor lies well below."""
_HEAD_S = 0.02
_TAIL_S = 0.06
_FADE_S = 0.01
_CACHED_LINES = 64


@cache
def load_voice() -> Voice:
    """Return the process's one voice; the first call takes about 0.4 s, with its warm-up."""
    voice = Voice()
    voice.say("One moment, please.")
    return voice


class Voice:
    """Turns a clause into PCM (16 bit, mono, 24 kHz). Safe to call from several threads."""

    def __init__(self, *, speed: float = 1.0) -> None:
        self._engine = Hibari(threads=1)
        self._speed = speed
        # The engine's word look-up keeps state, and one core gains nothing from two syntheses at
        # once.
        self._lock = Lock()
        self._fixed: set[str] = set()
        self._cache: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, line: str) -> None:
        """Allow the audio of `line` to be kept: only for lines without a caller's data in them."""
        self._fixed.add(line.strip())

    def say(self, text: str) -> bytes:
        """Return the audio of `text`, without silence around it; b"" where nothing can be said."""
        key = text.strip()
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
            words = spoken(key)
            sayable = any(char.isalnum() for char in words)
            # The seed makes a line sound (and be cached) the same every time.
            pcm = _trimmed(self._engine(words, self._speed, seed=0)) if sayable else b""
            if key in self._fixed:
                self._cache[key] = pcm
                if len(self._cache) > _CACHED_LINES:
                    self._cache.popitem(last=False)
            return pcm


def _trimmed(samples: npt.NDArray[np.float32]) -> bytes:
    loud = np.flatnonzero(np.abs(samples) > _LOUD)
    if loud.size == 0:
        return b""
    start = max(0, int(loud[0]) - int(_HEAD_S * RATE_HZ))
    end = min(samples.size, int(loud[-1]) + int(_TAIL_S * RATE_HZ))
    cut = samples[start:end].copy()
    fade = min(int(_FADE_S * RATE_HZ), cut.size)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    cut[:fade] *= ramp
    cut[-fade:] *= ramp[::-1]
    return (np.clip(cut, -1.0, 1.0) * 32_767).astype("<i2").tobytes()


def silence(milliseconds: int) -> bytes:
    """Return PCM silence at the voice's rate."""
    return bytes(2 * (RATE_HZ * milliseconds // 1000))
