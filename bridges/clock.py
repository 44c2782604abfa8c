"""The two times a call needs, passed in wherever they are used."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` is monotonic seconds, for durations; `at` is aware UTC, for what people read."""

    now: Callable[[], float] = time.monotonic
    at: Callable[[], datetime] = _utc_now
