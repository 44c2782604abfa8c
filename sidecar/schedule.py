"""When a delivery is tried again: a list of delays, stretched at random, or as the receiver asks.

Pure: the time and the source of chance are passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

JITTER = 0.1
"""A delay grows by up to this share, and never shrinks: the days promised are kept."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How patient the outbox is.

    Attributes:
        delays_s: before each attempt, in seconds; their number is that of the attempts.
        chance: returns a number from 0 to 1 (without it), so that receivers that failed together
            are not tried together.
    """

    delays_s: Sequence[float]
    chance: Callable[[], float]

    @property
    def attempts(self) -> int:
        """How often a delivery is tried before it is given up."""
        return len(self.delays_s)

    def delay_s(self, tried: int, asked_s: float = 0.0) -> float:
        """Return how long to wait after the `tried`-th attempt (from 1) failed, in seconds.

        Args:
            tried: attempts so far; fewer than `attempts`.
            asked_s: what the receiver asked for. It can ask for more than the schedule has, up to
                the longest of all delays.
        """
        own_s = self.delays_s[tried] * (1 + JITTER * self.chance())
        return max(own_s, min(asked_s, max(self.delays_s)))


def asked_s(retry_after: str, now: datetime) -> float:
    """Return what a `Retry-After` header asks for, in seconds; 0 for nothing that makes sense.

    RFC 9110 §10.2.3: a number of seconds, or a date.
    """
    text = retry_after.strip()
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        # A date without a zone is meant in UTC.
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return max(0.0, (at - now).total_seconds())
    except (ValueError, OverflowError):
        return 0.0
