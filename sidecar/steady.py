"""Since when this process has kept time: only silence that it has watched is somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

MAX_GAP_S = 2.0
"""A process that was not run for so long has missed what others said meanwhile."""
MAX_DRIFT_S = 1.0
"""More than any slewing between two looks: the clock was set."""


class Steady:
    """Watches the clock against one that cannot be set.

    Attributes:
        since: from when on silence counts.
    """

    def __init__(self, now: datetime, monotonic: Callable[[], float]) -> None:
        self.since = now
        self._monotonic = monotonic
        self._last = (now, monotonic())

    def look(self, now: datetime) -> bool:
        """Note the time; return whether it has jumped, or stood still, since the last look."""
        monotonic_s = self._monotonic()
        last_now, last_s = self._last
        self._last = (now, monotonic_s)
        passed_s = monotonic_s - last_s
        drift_s = (now - last_now).total_seconds() - passed_s
        is_broken = passed_s > MAX_GAP_S or abs(drift_s) > MAX_DRIFT_S
        if is_broken:
            self.since = now
        return is_broken

    def disturb(self, now: datetime) -> None:
        """Let silence count from now on: what was said until now may have been lost here."""
        self.since = now

    def is_silent(self, last_seen_at: datetime, now: datetime, limit: timedelta) -> bool:
        """Return whether somebody last seen then has said nothing for longer than `limit`."""
        return now - max(last_seen_at, self.since) > limit
