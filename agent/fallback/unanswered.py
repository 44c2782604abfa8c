"""What a recogniser still owes: the audio of the turn being spoken, and words for it. Pure."""

from __future__ import annotations

from collections import deque

from livekit import rtc

KEPT_S = 15.0
_LEAD_S = 0.6
"""Kept while nobody speaks: a voice is noticed a little after it began."""
_HEAD_START_S = 0.5
"""An interim result needs some speech before it can say anything."""
_QUIET_S = 3.0
_SHORTEST_S = 0.3
"""A cough is nothing to be transcribed."""


class Tape:
    """The latest audio: since the last words where somebody speaks, else a moment's worth.

    What is given to the next recogniser when one fails in the middle of a turn.
    """

    def __init__(self, kept_s: float = KEPT_S) -> None:
        self._kept_s = kept_s
        self._frames: deque[rtc.AudioFrame] = deque()
        self._length_s = 0.0
        self.is_owed = False
        """Whether somebody has spoken since the last words."""

    @property
    def frames(self) -> list[rtc.AudioFrame]:
        """The audio, oldest first."""
        return list(self._frames)

    @property
    def length_s(self) -> float:
        """How much there is of it."""
        return self._length_s

    def push(self, frame: rtc.AudioFrame) -> None:
        """Take the line's audio."""
        self._frames.append(frame)
        self._length_s += frame.duration
        self._shorten(self._kept_s if self.is_owed else _LEAD_S)

    def settle(self, *, is_speaking: bool = False) -> None:
        """There are words for it, or there never will be; somebody may speak on."""
        self.is_owed = is_speaking
        # What was heard already must not be heard again; where somebody speaks on, rather that.
        self._shorten(_LEAD_S if is_speaking else 0.0)

    def _shorten(self, most_s: float) -> None:
        while self._frames and self._length_s - self._frames[0].duration >= most_s:
            self._length_s -= self._frames.popleft().duration


class Silence:
    """When a recogniser that hears a voice and gives no words has been silent for too long.

    `now` is monotonic seconds. Only words count: a vendor's own notice that somebody speaks says
    nothing of its transcripts.
    """

    def __init__(self, first_words_s: float) -> None:
        self.first_words_s = first_words_s
        self._voiced_s = 0.0
        self._began: float | None = None
        self._ended: float | None = None
        self._quiet_since = float("-inf")
        self._is_half = False

    @property
    def is_half(self) -> bool:
        """Whether the last words that came were not final."""
        return self._is_half

    @property
    def is_speaking(self) -> bool:
        """Whether the caller's voice is heard now."""
        return self._began is not None

    def voiced_s(self, now: float) -> float:
        """Return how long the caller has spoken since there were words."""
        return self._voiced_s + (0.0 if self._began is None else now - self._began)

    def is_quiet(self, now: float) -> bool:
        """Whether nobody has spoken for a while, and no words are to come."""
        return self._began is None and now - self._quiet_since >= _QUIET_S

    def voice(self, is_speaking: bool, now: float) -> None:
        """The caller's voice began or ended."""
        if is_speaking and self._began is None:
            self._began = now
        elif not is_speaking and self._began is not None:
            self._voiced_s += now - self._began
            self._began = None
            self._ended = self._quiet_since = now

    def answered(self, now: float, *, is_final: bool = True) -> None:
        """There are words, or nobody waits for any: what follows is judged anew."""
        self._voiced_s = 0.0
        self._is_half = not is_final
        if is_final:
            self._ended = None
        if self._began is not None:
            self._began = now

    def due(self, *, has_interims: bool, final_s: float) -> float | None:
        """Return when to give the recogniser up; None while it owes nothing.

        Args:
            has_interims: whether it gives words while somebody speaks.
            final_s: how long after a voice its final words may take, where it gave interim ones.
        """
        if self._began is not None and has_interims:
            return self._began - self._voiced_s + _HEAD_START_S + self.first_words_s
        if self._began is not None or self._ended is None:
            return None
        if self._is_half:
            return self._ended + final_s
        return self._ended + self.first_words_s if self._voiced_s >= _SHORTEST_S else None

    def waited_s(self, now: float) -> float:
        """Return how long the caller, who has finished, has waited for words."""
        return 0.0 if self._ended is None else now - self._ended
