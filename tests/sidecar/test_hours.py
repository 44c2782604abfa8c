"""Active hours: days, nights, zones."""

from __future__ import annotations

from datetime import datetime

import pytest

from contracts.bot import ActiveHours
from sidecar.hours import is_open

FRIDAY = "2026-06-05"


def at(clock: str, day: str = FRIDAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}+00:00")


def hours(**changes: object) -> ActiveHours:
    return ActiveHours.model_validate({"enabled": True, **changes})


def test_hours_that_are_off_are_always_open() -> None:
    assert is_open(ActiveHours(enabled=False, days=[]), at("03:00"), "UTC")


@pytest.mark.parametrize(
    ("clock", "is_in"),
    [("08:59:59", False), ("09:00", True), ("17:30:00.9", True), ("17:30:01", False)],
)
def test_day_range_includes_both_ends(clock: str, is_in: bool) -> None:
    shift = hours(start_time="09:00", end_time="17:30")
    assert is_open(shift, at(clock), "UTC") is is_in


@pytest.mark.parametrize(
    ("moment", "is_in"),
    [
        (at("21:59"), False),
        (at("22:00"), True),
        (at("05:00", "2026-06-06"), True),
        (at("06:01", "2026-06-06"), False),
        (at("05:00"), False),
        (at("23:00", "2026-06-06"), False),
    ],
)
def test_night_shift_belongs_to_the_day_it_begins_on(moment: datetime, is_in: bool) -> None:
    shift = hours(days=["Friday"], start_time="22:00", end_time="06:00")
    assert is_open(shift, moment, "UTC") is is_in


def test_days_may_be_abbreviated() -> None:
    assert is_open(hours(days=["fri"]), at("12:00"), "UTC")
    assert not is_open(hours(days=["sat"]), at("12:00"), "UTC")


def test_hours_are_in_the_bots_zone() -> None:
    shift = hours(start_time="09:00", end_time="17:00")
    assert is_open(shift, at("04:00"), "Asia/Kolkata")
    assert not is_open(shift, at("03:00"), "Asia/Kolkata")
