"""The simulated back ends a rules file declares: what a tool answers, from data alone. Pure;
`now` is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import assert_never

from agent.speech.moment import WEEKDAYS, time_words
from agent.speech.phrase import normal
from contracts.rules import CalendarTool, StaticTool, TableTool, Tool
from contracts.template import render

_OFFERED = 2
"""How many free times are offered at once: more cannot be kept in mind on the phone."""


def answer(tool: Tool, arguments: Mapping[str, object], now: datetime) -> dict[str, str]:
    """Return what the back end says to `arguments`, as text fields.

    Args:
        tool: its declaration.
        arguments: by name; what is missing counts as empty.
        now: the moment, in the bot's time zone.
    """
    given = {name: str(value) for name, value in arguments.items()}
    match tool:
        case StaticTool():
            values = {f"arg.{name}": value for name, value in given.items()}
            return {
                name: render(text, values, drop_unresolved=True)
                for name, text in tool.result.items()
            }
        case TableTool():
            return _look_up(tool, given)
        case CalendarTool():
            return _free_times(tool, given, now)
        case _:
            assert_never(tool)


def _look_up(tool: TableTool, given: Mapping[str, str]) -> dict[str, str]:
    wanted = {name: normal(given.get(name, "")) for name in tool.arguments}
    for row in tool.rows:
        if all(normal(row.get(name, "")) == value for name, value in wanted.items()):
            return {"found": "yes", **row}
    return {"found": "no"}


def _free_times(tool: CalendarTool, given: Mapping[str, str], now: datetime) -> dict[str, str]:
    try:
        day = date.fromisoformat(given.get("day", ""))
    except ValueError:
        return {"available": "no", "reason": "unknown", "offer": ""}
    free = _free(tool, day, now)
    offer = {"day_has_times": "yes" if free else "no"}
    wanted = _clock(given.get("time", ""))
    if day < now.date():
        return {"available": "no", "reason": "past", "offer": "", **offer}
    if not tool.open.get(WEEKDAYS[day.weekday()]):
        return {"available": "no", "reason": "closed", "offer": "", **offer}
    if wanted is not None and wanted in free:
        return {"available": "yes", "reason": "free", "offer": time_words(wanted), **offer}
    nearest = sorted(free, key=lambda slot: (_distance(slot, wanted), slot))[:_OFFERED]
    words = " or ".join(time_words(slot) for slot in sorted(nearest))
    return {"available": "no", "reason": "taken" if free else "full", "offer": words, **offer}


def _free(tool: CalendarTool, day: date, now: datetime) -> list[time]:
    name = WEEKDAYS[day.weekday()]
    taken = {time.fromisoformat(text) for text in tool.taken.get(name, [])}
    step = timedelta(minutes=tool.slot_minutes)
    free = []
    for text in tool.open.get(name, []):
        start, _, end = text.partition("-")
        at = datetime.combine(day, time.fromisoformat(start))
        while at + step <= datetime.combine(day, time.fromisoformat(end)):
            if at.time() not in taken and at > now.replace(tzinfo=None):
                free.append(at.time())
            at += step
    return free


def _clock(text: str) -> time | None:
    try:
        return time.fromisoformat(text)
    except ValueError:
        return None


def _distance(slot: time, wanted: time | None) -> int:
    if wanted is None:
        return 0
    return abs((slot.hour * 60 + slot.minute) - (wanted.hour * 60 + wanted.minute))
