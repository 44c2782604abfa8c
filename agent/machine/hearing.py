"""A caller's audio as windows with voice or without, and the beeps in it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from livekit import rtc
from livekit.local_inference import VAD as Model
from livekit.local_inference import VAD_WINDOW_SAMPLES

from agent.machine.beep import Beep, BeepDetector
from agent.machine.voice import Window
from agent.vad import MODEL_RATE_HZ, WINDOW_S

_VOICE = 0.5


class Hearing:
    """Hears one call from the answer on; 50 µs a window."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._model = Model()
        self._detector = BeepDetector(rate_hz)
        self._beeps: list[Beep] = []
        self._resampler: rtc.AudioResampler | None = None
        if rate_hz != MODEL_RATE_HZ:
            self._resampler = rtc.AudioResampler(
                rate_hz, MODEL_RATE_HZ, quality=rtc.AudioResamplerQuality.QUICK
            )
        self._pcm = bytearray()
        self._windows = 0
        self.heard_s = 0.0
        """How much audio there was."""

    def hear(self, pcm: bytes) -> Iterator[Window]:
        """Take more PCM16; yield the windows that it completes."""
        self.heard_s += len(pcm) / 2 / self._rate_hz
        self._beeps += self._detector.hear(pcm)
        self._pcm += self._at_model_rate(pcm)
        size_bytes = 2 * VAD_WINDOW_SAMPLES
        while len(self._pcm) >= size_bytes:
            window = np.frombuffer(bytes(self._pcm[:size_bytes]), np.int16)
            del self._pcm[:size_bytes]
            self._windows += 1
            is_tone = self._detector.is_tone
            is_voice = self._model.predict(window) >= _VOICE and not is_tone
            beep = self._beeps.pop(0) if self._beeps else None
            yield Window(self._windows * WINDOW_S, is_voice, is_tone, beep)

    def _at_model_rate(self, pcm: bytes) -> bytes:
        if self._resampler is None:
            return pcm
        return b"".join(bytes(frame.data) for frame in self._resampler.push(bytearray(pcm)))
