"""Dates and times as callers say them."""

from __future__ import annotations

from datetime import date, time

import pytest

from agent.speech.moment import date_in, date_words, time_in, time_words

MONDAY = date(2026, 4, 27)
FRIDAY = date(2026, 5, 1)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", date(2026, 4, 27)),
        ("Tomorrow, please.", date(2026, 4, 28)),
        ("the day after tomorrow", date(2026, 4, 29)),
        ("on Wednesday", date(2026, 4, 29)),
        ("Monday", date(2026, 5, 4)),
        ("next Tuesday", date(2026, 5, 5)),
        ("Tuesday next week", date(2026, 5, 5)),
        ("a week from Thursday", date(2026, 5, 7)),
        ("in three days", date(2026, 4, 30)),
        ("in two weeks", date(2026, 5, 11)),
        ("in a month", date(2026, 5, 27)),
        ("next week", date(2026, 5, 4)),
        ("next month", date(2026, 5, 1)),
        ("at the end of the month", date(2026, 4, 30)),
        ("the fifth of May", date(2026, 5, 5)),
        ("May 5th", date(2026, 5, 5)),
        ("my first", date(2026, 5, 1)),
        ("March third", date(2027, 3, 3)),
        ("the 30th", date(2026, 4, 30)),
        ("the twenty first", date(2026, 5, 21)),
        ("the second", date(2026, 5, 2)),
        ("2026-06-01", date(2026, 6, 1)),
        ("5/21", date(2026, 5, 21)),
        ("21/5/2026", date(2026, 5, 21)),
        ("December 24, 2027", date(2027, 12, 24)),
    ],
)
def test_days_seen_from_a_monday(text: str, day: date) -> None:
    assert date_in(text, MONDAY) == day


def test_next_tuesday_on_a_friday_is_the_one_to_come() -> None:
    assert date_in("next Tuesday", FRIDAY) == date(2026, 5, 5)


def test_days_gone_by_are_found_where_asked_for() -> None:
    assert date_in("March third", MONDAY, future=False) == date(2026, 3, 3)
    assert date_in("yesterday", MONDAY) == date(2026, 4, 26)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes, please.",
        "I may come",
        "half past three",
        "February 30th",
        "four one five, five five five",
        "in 99999 days",
    ],
)
def test_no_day_is_none(text: str) -> None:
    assert date_in(text, MONDAY) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("half past three", time(15, 30)),
        ("Half-past nine.", time(9, 30)),
        ("quarter to four", time(15, 45)),
        ("ten past two", time(14, 10)),
        ("three thirty", time(15, 30)),
        ("3:30 p.m.", time(15, 30)),
        ("three thirty p M.", time(15, 30)),
        ("at nine", time(9)),
        ("nine in the evening", time(21)),
        ("eleven o'clock", time(11)),
        ("10 a.m.", time(10)),
        ("noon", time(12)),
        ("midnight", time(0)),
        ("12 am", time(0)),
        ("seven", time(19)),
        ("15:30", time(15, 30)),
        ("two oh five", time(14, 5)),
        ("around four in the afternoon", time(16)),
    ],
)
def test_times(text: str, moment: time) -> None:
    assert time_in(text) == moment


@pytest.mark.parametrize(
    "text", ["", "in the afternoon", "next Tuesday", "at 99:99", "for two days"]
)
def test_no_time_is_none(text: str) -> None:
    assert time_in(text) is None


def test_lone_number_is_a_time_only_where_one_was_asked_for() -> None:
    assert time_in("nine", bare=False) is None
    assert time_in("Tuesday at nine", bare=False) == time(9)


def test_earliest_hour_places_a_bare_time() -> None:
    assert time_in("at seven", earliest=time(6)) == time(7)
    assert time_in("at seven", earliest=time(8)) == time(19)


def test_words_for_the_caller() -> None:
    assert date_words(date(2026, 5, 5), MONDAY) == "Tuesday, May 5"
    assert date_words(date(2027, 5, 5), MONDAY) == "Wednesday, May 5, 2027"
    assert time_words(time(0, 5)) == "12:05 AM"
    assert time_words(time(15, 30)) == "3:30 PM"
