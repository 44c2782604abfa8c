"""The leg's clock as the agent knows it: what its own times are on the axis of the phone."""

from __future__ import annotations

from collections import deque

_STRETCH_S = 2.0
_STRETCHES = 8
"""Only the last quarter of a minute counts: two machines' clocks drift apart."""


class LegClock:
    """Maps the agent's seconds to the leg's milliseconds.

    A packet cannot arrive before it was sent, so the one that took least tells how far the two
    clocks are apart, give or take the quickest way through the network.
    """

    def __init__(self) -> None:
        self._quickest: deque[float] = deque(maxlen=_STRETCHES)
        self._stretch_ends_at = 0.0

    def observe(self, at_ms: float, arrived_at: float) -> None:
        """Take note that what the leg sent at `at_ms` arrived at `arrived_at`."""
        apart_s = arrived_at - at_ms / 1000
        if not self._quickest or arrived_at >= self._stretch_ends_at:
            self._quickest.append(apart_s)
            self._stretch_ends_at = arrived_at + _STRETCH_S
        elif apart_s < self._quickest[-1]:
            self._quickest[-1] = apart_s

    def ms_at(self, now: float) -> float | None:
        """Return the leg's time at `now` of the agent's; None before anything arrived."""
        return 1000 * (now - min(self._quickest)) if self._quickest else None
