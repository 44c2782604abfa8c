"""Who was heard of lately, whether or not the database would take a note of it."""

from __future__ import annotations

from datetime import datetime, timedelta

REMEMBERED = timedelta(minutes=1)


class Hearing:
    """This process's own memory of heartbeats: a store that is full or locked makes nobody dead."""

    def __init__(self) -> None:
        self._heard: dict[str, datetime] = {}

    def note(self, worker_id: str, at: datetime) -> None:
        """Somebody has given a sign of life."""
        self._heard[worker_id] = at
        if len(self._heard) > 1 and min(self._heard.values()) < at - REMEMBERED:
            self._heard = {
                each: heard_at
                for each, heard_at in self._heard.items()
                if heard_at >= at - REMEMBERED
            }

    def last(self, worker_id: str, stored_at: datetime) -> datetime:
        """Return when somebody was heard of last, here or by what is stored."""
        return max(stored_at, self._heard.get(worker_id, stored_at))
