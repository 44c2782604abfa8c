"""When each frame of a steady stream was heard, however late it was handed over: pure."""

from __future__ import annotations

_LOOK_S = 1.0
_GAP_S = 0.06
"""Audio that comes later than this all the time has lost a piece before it."""


class FrameClock:
    """Dates frames by how much audio came before them.

    A process that stalls is handed all it missed at once: dated by its arrival, a recording would
    get a hole and then too much. So the frame that came quickest tells where the others belong.
    """

    def __init__(self) -> None:
        self._end: float | None = None
        self._least_late_s = 0.0
        self._looked_s = 0.0

    def ends_at(self, duration_s: float, now: float) -> float:
        """Return when a frame of that length that arrives `now` ended, seconds like `now`."""
        if self._end is None:
            self._end = now
            self._least_late_s, self._looked_s = _LOOK_S, 0.0
            return now
        self._end += duration_s
        late_s = now - self._end
        if late_s < 0:
            # Nothing arrives before it was said.
            self._end, late_s = now, 0.0
        self._least_late_s = min(self._least_late_s, late_s)
        self._looked_s += duration_s
        if self._looked_s >= _LOOK_S:
            if self._least_late_s > _GAP_S:
                self._end += self._least_late_s
            self._least_late_s, self._looked_s = late_s, 0.0
        return self._end
