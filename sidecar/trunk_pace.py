"""How fast a trunk may dial: a bucket of tokens, kept in its row so that replicas share it. Pure.

Every dial takes a token; they come back at `cps` a second, up to `burst`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Bucket:
    """What a trunk's row holds: `tokens` as of `at`; never used before: as many as fit."""

    tokens: float
    at: datetime | None

    def taken(self, now: datetime, *, cps: float, burst: int) -> Bucket:
        """Return the bucket after one token is taken.

        A clock that was set back gives nothing, and takes nothing.

        Raises:
            Empty: there is none; it says after how long there will be one.
        """
        tokens = float(burst)
        if self.at is not None:
            passed_s = max(0.0, (now - self.at) / timedelta(seconds=1))
            tokens = min(tokens, self.tokens + passed_s * cps)
        if tokens < 1.0:
            raise Empty((1.0 - tokens) / cps)
        return Bucket(tokens - 1.0, now)


class Empty(Exception):
    """The trunk dials as fast as it may.

    Attributes:
        wait_s: when there is a token again, if nobody else takes it.
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"no token for {wait_s:.1f} s")
        self.wait_s = wait_s
