"""Finds speech in PCM by its energy alone: when it began and when its last loud sample came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_WINDOW_MS = 10
_LOUD_RMS = 200.0


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Sound after quiet; `audio_s` is its place in the audio."""

    audio_s: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Enough quiet after sound. `at` is when the last loud sample arrived."""

    at: float
    audio_s: float


class SpeechWatch:
    """Takes int16 PCM in messages of any size, with the time each arrived."""

    def __init__(self, rate_hz: int, quiet_ms: float) -> None:
        self._rate_hz = rate_hz
        self._window = rate_hz * _WINDOW_MS // 1000
        self._quiet_windows = max(1, round(quiet_ms / _WINDOW_MS))
        self._rest = b""
        self._windows = 0
        self._quiet = 0
        self._loud_at = 0.0
        self._loud_until_s = 0.0
        self.speaking = False

    @property
    def audio_s(self) -> float:
        """How much audio has been judged."""
        return self._windows * _WINDOW_MS / 1000

    @property
    def speech_until_s(self) -> float:
        """Where in the audio the last loud window ended."""
        return self._loud_until_s

    @property
    def loud_at(self) -> float:
        """When the last loud sample arrived."""
        return self._loud_at

    def push(self, pcm: bytes, now: float) -> list[SpeechBegan | SpeechEnded]:
        """Judge what is complete; return what has begun or ended in it."""
        data = self._rest + pcm
        count = len(data) // (2 * self._window)
        size = count * 2 * self._window
        self._rest = data[size:]
        if count == 0:
            return []
        samples = np.frombuffer(data[:size], dtype="<i2").reshape(count, -1).astype(np.float32)
        loudness = np.sqrt(np.mean(samples * samples, axis=1))
        return [event for rms in loudness if (event := self._judge(rms >= _LOUD_RMS, now))]

    def stop(self) -> None:
        """Take what is being said for said: the next sound begins anew."""
        self.speaking = False
        self._quiet = 0

    def _judge(self, loud: bool, now: float) -> SpeechBegan | SpeechEnded | None:
        self._windows += 1
        if loud:
            self._quiet = 0
            self._loud_at = now
            self._loud_until_s = self.audio_s
            if not self.speaking:
                self.speaking = True
                return SpeechBegan(self.audio_s - _WINDOW_MS / 1000)
        elif self.speaking:
            self._quiet += 1
            if self._quiet >= self._quiet_windows:
                self.stop()
                return SpeechEnded(self._loud_at, self._loud_until_s)
        return None
