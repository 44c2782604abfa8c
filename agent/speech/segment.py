"""Decides, window by window, where speech starts, pauses and ends: pure, counting windows
instead of seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

WINDOW_SAMPLES = 512
WINDOW_S = WINDOW_SAMPLES / 16_000


def windows(seconds: float) -> int:
    """Return how many windows cover `seconds`, at least one."""
    return max(1, round(seconds / WINDOW_S))


class Cue(Enum):
    """What a window means for the recogniser."""

    STARTED = auto()
    """Speech began a few windows ago."""
    INTERIM = auto()
    """A good moment for a look at what was said so far."""
    PAUSED = auto()
    """The speaker may be done: decode now, so that the text is there once the silence suffices."""
    RESUMED = auto()
    """The speaker was not done: what was decoded in the pause is void."""
    ENDED = auto()
    """The utterance is over (or long enough to be cut at this pause)."""


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """The thresholds, in seconds but for `activation`, a probability."""

    activation: float = 0.5
    hysteresis: float = 0.15
    """How far the probability may fall below `activation` before a window counts as silent."""
    start_s: float = 0.064
    min_voiced_s: float = 0.096
    """Less voice than this is a noise; the model would invent a "You" for it."""
    pause_s: float = 0.064
    end_s: float = 1.2
    first_interim_s: float = 0.256
    interim_s: float = 0.4
    late_interim_s: float = 1.0
    """The interval after `late_after_s`: a long utterance costs more to decode, and was counted
    as one long ago.
    """
    late_after_s: float = 2.5
    cut_s: float = 12.0
    """From this length on the next pause ends the utterance."""
    max_s: float = 18.0


class Segmenter:
    """One speaker's stream of voice probabilities, cut into utterances."""

    def __init__(self, rule: SegmentRule) -> None:
        self._rule = rule
        self._run = 0
        self.reset()

    def reset(self) -> None:
        """Forget the utterance; the next voice starts a new one."""
        self.speaking = False
        self.silent = 0
        """Silent windows since the last voiced one, while `speaking`."""
        self.voiced = 0
        self.length = 0
        """Windows since the start, while `speaking`."""
        self._run = 0
        self._next_interim = windows(self._rule.first_interim_s)

    @property
    def is_speech(self) -> bool:
        """Whether the utterance holds enough voice to be worth decoding."""
        return self.speaking and self.voiced >= windows(self._rule.min_voiced_s)

    def hear(self, probability: float) -> list[Cue]:
        """Take one window's probability of voice; return what follows from it, in order."""
        rule = self._rule
        threshold = rule.activation - (rule.hysteresis if self.speaking else 0.0)
        is_voice = probability >= threshold
        if not self.speaking:
            self._run = self._run + 1 if is_voice else 0
            if self._run < windows(rule.start_s):
                return []
            self.speaking = True
            self.voiced = self.length = self._run
            return [Cue.STARTED]
        self.length += 1
        return self._voice() if is_voice else self._silence()

    def _voice(self) -> list[Cue]:
        rule = self._rule
        cues = [Cue.RESUMED] if self.silent >= windows(rule.pause_s) else []
        self.silent = 0
        self.voiced += 1
        if self.length >= windows(rule.max_s):
            return [*cues, Cue.ENDED]
        if self.length >= self._next_interim and self.is_speech:
            late = self.length >= windows(rule.late_after_s)
            step = rule.late_interim_s if late else rule.interim_s
            self._next_interim = self.length + windows(step)
            cues.append(Cue.INTERIM)
        return cues

    def _silence(self) -> list[Cue]:
        rule = self._rule
        self.silent += 1
        cues = [Cue.PAUSED] if self.silent == windows(rule.pause_s) else []
        long_enough = self.length >= windows(rule.cut_s) and self.silent >= windows(rule.pause_s)
        if self.silent >= windows(rule.end_s) or long_enough:
            cues.append(Cue.ENDED)
        return cues
