"""How fast calls may start: a start costs the machine more than a second of a call does.

A burst of starts would stall the calls that are already talking. Pure: `now` is passed in, and
waiting is the caller's.
"""

from __future__ import annotations


class Pace:
    """A leaky bucket: `burst` starts at once, then one each `1 / rate_per_s`.

    Args:
        rate_per_s: starts a second in the long run; 0 means any number.
        burst: how many may start together after a pause.
        max_wait_s: whoever would wait longer is refused.
    """

    def __init__(self, rate_per_s: float, *, burst: int, max_wait_s: float) -> None:
        self._interval_s = 1 / rate_per_s if rate_per_s else 0.0
        self._leeway_s = (burst - 1) * self._interval_s
        self._max_wait_s = max_wait_s
        self._next_at = float("-inf")

    def reserve(self, now: float) -> float:
        """Take the next turn and return how long to wait for it, in seconds.

        Raises:
            TooFast: too many are waiting already; no turn is taken.
        """
        turn_at = max(self._next_at, now)
        wait_s = max(0.0, turn_at - self._leeway_s - now)
        if wait_s > self._max_wait_s:
            raise TooFast(wait_s)
        self._next_at = turn_at + self._interval_s
        return wait_s


class TooFast(Exception):
    """More calls want to start than may.

    Attributes:
        wait_s: after which there might be room.
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"calls start too fast; try again in {wait_s:.0f} s")
        self.wait_s = wait_s
