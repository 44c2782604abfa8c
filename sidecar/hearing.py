"""Who was heard of lately, by this process's own clock.

What the store says counts from when it was seen to change: other sidecars date it by theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sidecar.clock import Clock

REMEMBERED = timedelta(minutes=1)


class Hearing:
    """This process's own memory of heartbeats: a store that is full or locked makes nobody dead."""

    def __init__(self) -> None:
        self._heard: dict[str, datetime] = {}
        self._stored: dict[str, datetime] = {}
        self._own: dict[str, datetime] = {}
        self._in_hand: Counter[str] = Counter()

    @contextmanager
    def taking(self, worker_id: str, clock: Clock) -> Iterator[datetime]:
        """Take a heartbeat: its sender lives for as long as a locked store lets it wait."""
        at = self._own[worker_id] = clock()
        self.note(worker_id, at)
        self._in_hand[worker_id] += 1
        try:
            yield at
        finally:
            self._in_hand[worker_id] -= 1
            if not self._in_hand[worker_id]:
                del self._in_hand[worker_id]
            self.note(worker_id, clock())

    def is_speaking(self, worker_id: str) -> bool:
        """Return whether a heartbeat of somebody is being taken at this moment."""
        return worker_id in self._in_hand

    def note(self, worker_id: str, at: datetime) -> None:
        """Somebody has given a sign of life."""
        self._heard[worker_id] = at
        if len(self._heard) > 1 and min(self._heard.values()) < at - REMEMBERED:
            self._heard = {
                each: heard_at
                for each, heard_at in self._heard.items()
                if heard_at >= at - REMEMBERED
            }

    def read(self, worker_id: str, stored_at: datetime, now: datetime) -> None:
        """Take note of what is stored of somebody, if that has changed since the last look."""
        if self._stored.get(worker_id) == stored_at:
            return
        self._stored[worker_id] = stored_at
        if self._own.get(worker_id) != stored_at:
            self.note(worker_id, now)

    def last(self, worker_id: str) -> datetime | None:
        """Return when somebody was heard of last; None: not for a minute, or never."""
        return self._heard.get(worker_id)
