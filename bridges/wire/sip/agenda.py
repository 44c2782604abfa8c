"""What is to happen when: the alarms of one endpoint, set off by the driver's clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[float], None]
"""Takes the present as `now`, which may be later than what was asked for."""

_FEW = 64


class Alarm:
    """One thing to do, until it is cancelled."""

    __slots__ = ("_agenda", "action", "due")

    def __init__(self, agenda: Agenda, due: float, action: Action) -> None:
        self.due = due
        self.action: Action | None = action
        self._agenda = agenda

    def cancel(self) -> None:
        """Let it not happen; it may have happened already."""
        if self.action is not None:
            self.action = None
            self._agenda.forget()


class Agenda:
    """Alarms in the order they are due; those due at once in the order they were set."""

    def __init__(self) -> None:
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._numbers = count()
        self._cancelled = 0

    def __len__(self) -> int:
        """Return how many alarms are kept, those included that were cancelled."""
        return len(self._alarms)

    def at(self, due: float, action: Action) -> Alarm:
        """Do something once `due` is past."""
        alarm = Alarm(self, due, action)
        heapq.heappush(self._alarms, (due, next(self._numbers), alarm))
        return alarm

    def deadline(self) -> float | None:
        """Return when the next alarm is due."""
        self._drop_cancelled()
        return self._alarms[0][0] if self._alarms else None

    def expire(self, now: float) -> None:
        """Do what is due by now, but not what that sets in turn: an alarm cannot starve others."""
        last = next(self._numbers)
        later: list[tuple[float, int, Alarm]] = []
        while self._alarms and self._alarms[0][0] <= now:
            entry = heapq.heappop(self._alarms)
            if entry[2].action is None:
                self._cancelled -= 1
            elif entry[1] > last:
                later.append(entry)
            else:
                action, entry[2].action = entry[2].action, None
                action(now)
        for entry in later:
            heapq.heappush(self._alarms, entry)

    def forget(self) -> None:
        """Count one cancelled alarm; `Alarm.cancel` says so."""
        self._cancelled += 1
        if self._cancelled > _FEW and self._cancelled > len(self._alarms) // 2:
            # Timers of seconds are cancelled by the thousand: they must not pile up behind one of
            # half an hour.
            self._alarms = [each for each in self._alarms if each[2].action is not None]
            heapq.heapify(self._alarms)
            self._cancelled = 0

    def _drop_cancelled(self) -> None:
        while self._alarms and self._alarms[0][2].action is None:
            heapq.heappop(self._alarms)
            self._cancelled -= 1
