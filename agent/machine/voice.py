"""When there was voice in a caller's audio: pure, in seconds since its first sample."""

from __future__ import annotations

from dataclasses import dataclass

from agent.machine.beep import Beep

_ONSET_S = 0.09
"""A shorter sound is a click."""
_JOIN_S = 0.2
"""Pauses shorter than this belong to one stretch."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window of audio.

    Attributes:
        end_s: when it ended.
        is_voice: whether there is voice in it.
        is_tone: whether it ends in a tone; then there is none.
        beep: the beep that was over by then.
    """

    end_s: float
    is_voice: bool
    is_tone: bool = False
    beep: Beep | None = None


class Voice:
    """Follows windows without a gap.

    Attributes:
        began_s: when the first sound that is no click began; None before it.
        onset_s: when the present or last stretch of voice began.
        until_s: when it ended.
        beep: the last beep.
        tone_s: when there was a tone last.
    """

    def __init__(self, now_s: float = 0.0) -> None:
        self.began_s: float | None = None
        self.onset_s = now_s
        self.until_s = now_s
        self.beep: Beep | None = None
        self.tone_s: float | None = None
        self._run_from_s: float | None = None
        self._last_s = now_s

    def window(self, window: Window) -> None:
        """Take the next window."""
        if window.beep is not None:
            self.beep = window.beep
        if window.is_tone:
            self.tone_s = window.end_s
        if not window.is_voice:
            self._run_from_s = None
        elif self._run_from_s is None:
            self._run_from_s = self._last_s
        self._last_s = window.end_s
        from_s = self._run_from_s
        if from_s is None or window.end_s - from_s < _ONSET_S:
            return
        if self.began_s is None:
            self.began_s = self.onset_s = from_s
        elif from_s - self.until_s > _JOIN_S:
            self.onset_s = from_s
        self.until_s = window.end_s

    def anew(self) -> Voice:
        """Return the same as if the present stretch of voice were the first."""
        voice = Voice(self.onset_s)
        voice.began_s, voice.until_s = self.onset_s, self.until_s
        voice._last_s, voice._run_from_s = self._last_s, self._run_from_s
        return voice

    @property
    def span_s(self) -> float:
        """From the first sound to the end of the last."""
        return 0.0 if self.began_s is None else self.until_s - self.began_s

    def silent_s(self, now_s: float) -> float:
        """How long there has been no voice."""
        return now_s - self.until_s
