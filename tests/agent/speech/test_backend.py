"""The simulated back ends."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from agent.speech.backend import answer
from contracts.rules import CalendarTool, StaticTool, TableTool

NOW = datetime(2026, 4, 27, 10, 0, tzinfo=ZoneInfo("America/New_York"))
CALENDAR = CalendarTool(
    kind="calendar",
    open={"monday": ["09:00-12:00"], "tuesday": ["09:00-10:00"], "friday": ["09:00-10:00"]},
    taken={"monday": ["11:00"], "friday": ["09:00", "09:30"]},
)


def test_static_tool_answers_with_its_arguments() -> None:
    tool = StaticTool(arguments=["day"], result={"status": "moved to {{arg.day}}{{arg.none}}"})
    assert answer(tool, {"day": "Monday"}, NOW) == {"status": "moved to Monday"}


def test_table_finds_the_row_that_fits() -> None:
    tool = TableTool(
        kind="table",
        arguments=["order"],
        rows=[{"order": "17", "state": "sent"}, {"order": "18", "state": "packed"}],
    )
    assert answer(tool, {"order": "18"}, NOW)["state"] == "packed"
    assert answer(tool, {"order": 18}, NOW)["found"] == "yes"
    assert answer(tool, {"order": "99"}, NOW) == {"found": "no"}


@pytest.mark.parametrize(
    ("day", "time", "available", "reason", "offer"),
    [
        ("2026-04-28", "09:30", "yes", "free", "9:30 AM"),
        ("2026-05-04", "11:00", "no", "taken", "10:30 AM or 11:30 AM"),
        ("2026-05-04", "23:00", "no", "taken", "10:30 AM or 11:30 AM"),
        ("2026-04-29", "09:00", "no", "closed", ""),
        ("2026-05-01", "09:00", "no", "full", ""),
        ("2026-04-20", "09:00", "no", "past", ""),
        ("2026-04-27", "09:30", "no", "taken", "10:30 AM or 11:30 AM"),
        ("someday", "09:30", "no", "unknown", ""),
        ("2026-04-28", "", "no", "taken", "9:00 AM or 9:30 AM"),
    ],
)
def test_calendar(day: str, time: str, available: str, reason: str, offer: str) -> None:
    found = answer(CALENDAR, {"day": day, "time": time}, NOW)
    assert (found["available"], found["reason"], found["offer"]) == (available, reason, offer)
