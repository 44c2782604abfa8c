"""Dates and times as callers say them, relative to now. Pure."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, time, timedelta

from agent.speech.number import number_in, ordinal_in
from agent.speech.phrase import normal
from agent.speech.spoken import MONTHS

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH_NAMES = {name.lower(): at for at, name in enumerate(MONTHS, 1)} | {
    name[:3].lower(): at for at, name in enumerate(MONTHS, 1)
}
_WEEKDAY = re.compile(rf"\b({'|'.join(WEEKDAYS)})s?\b")
_MONTH = re.compile(rf"\b({'|'.join(sorted(_MONTH_NAMES, key=len, reverse=True))})\b")
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_SLASHED = re.compile(r"\b(\d{1,2})[/](\d{1,2})(?:[/](\d{2,4}))?\b")
_IN_UNITS = re.compile(
    r"\b(?:in|after)?\s*([a-z0-9]+(?: [a-z]+)?) (day|week|month)s?\b(?: from (now|today))?"
)
_HEARD = (
    (
        re.compile(r"\bmy (?=first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|\d)"),
        "may ",
    ),
)
"""What the recogniser makes of a date: "May first" comes back as "my first"."""


def date_in(text: str, today: date, *, future: bool = True) -> date | None:
    """Return the day `text` names, seen from `today`; None if it names none.

    "Tuesday" is the next one to come; "next Tuesday" the one in the week after this (weeks start on
    Monday).
    """
    try:
        return _explicit(text, today, future) or _relative(_plain(text), today)
    except (ValueError, OverflowError):
        return None


def _plain(text: str) -> str:
    plain = normal(text)
    for pattern, replacement in _HEARD:
        plain = pattern.sub(replacement, plain)
    return plain


def _explicit(text: str, today: date, future: bool) -> date | None:
    if match := _ISO.search(text):
        return date(int(match[1]), int(match[2]), int(match[3]))
    if match := _SLASHED.search(text):
        month, day = int(match[1]), int(match[2])
        if month > 12:
            month, day = day, month
        if match[3]:
            return date(int(match[3]) % 100 + 2000, month, day)
        return _in_year(today, month, day, future)
    plain = _plain(text)
    month_match = next((m for m in _MONTH.finditer(plain) if _is_month(plain, m)), None)
    if month_match is not None:
        number = _day_number(plain, month_match)
        stated = re.search(r"\b(20\d\d)\b", plain)
        if number is not None:
            month = _MONTH_NAMES[month_match[1]]
            if stated:
                return date(int(stated[1]), month, number)
            return _in_year(today, month, number, future)
    if re.search(r"\bend of (?:the|this) month\b", plain):
        return today.replace(day=monthrange(today.year, today.month)[1])
    return None


def _is_month(plain: str, match: re.Match[str]) -> bool:
    """Return whether a month's name is one: "may" and "march" are words, too."""
    if match[1] not in ("may", "march", "mar", "dec", "sun"):
        return True
    return _day_number(plain, match) is not None


def _day_number(plain: str, month: re.Match[str]) -> int | None:
    after, before = plain[month.end() :], plain[: month.start()]
    near_after = " ".join(after.split()[:2])
    near_before = " ".join(before.split()[-4:])
    for near in (near_after, near_before):
        number = ordinal_in(near)
        if number is None and (figures := re.search(r"\b(\d{1,2})\b", near)):
            number = int(figures[1])
        if number is None and near is near_after and (value := number_in(near)) is not None:
            number = int(value)
        if number is not None and 1 <= number <= 31:
            return number
    return None


def _in_year(today: date, month: int, day: int, future: bool) -> date:
    found = date(today.year, month, day)
    if future and found < today:
        return date(today.year + 1, month, day)
    if not future and found > today:
        return date(today.year - 1, month, day)
    return found


def _relative(plain: str, today: date) -> date | None:
    if "day after tomorrow" in plain:
        return today + timedelta(days=2)
    if re.search(r"\b(tomorrow|tomorrows)\b", plain):
        return today + timedelta(days=1)
    weekday = _WEEKDAY.search(plain)
    if weekday:
        return _weekday(plain, weekday[1], today)
    if re.search(
        r"\b(today|this (?:morning|afternoon|evening)|tonight|right now|right away)\b", plain
    ):
        return today
    if re.search(r"\byesterday\b", plain):
        return today - timedelta(days=1)
    if re.search(r"\bnext week\b", plain):
        return today + timedelta(days=7 - today.weekday())
    if re.search(r"\bnext month\b", plain):
        return (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    if match := _IN_UNITS.search(plain):
        return _ahead(match, today)
    number = ordinal_in(plain)
    return _next_day_of_month(number, today) if number is not None else None


def _weekday(plain: str, name: str, today: date) -> date:
    ahead = (WEEKDAYS.index(name) - today.weekday()) % 7 or 7
    if re.search(rf"\bnext (?:week )?{name}", plain) or re.search(
        rf"{name} (?:of )?next week", plain
    ):
        # In the week after this one: on a Friday that is the Tuesday to come, on a Monday not
        # tomorrow.
        return today + timedelta(days=7 - today.weekday() + WEEKDAYS.index(name))
    if re.search(rf"\bweek from {name}", plain) or re.search(rf"{name} (?:in a |a )week\b", plain):
        return today + timedelta(days=ahead + 7)
    return today + timedelta(days=ahead)


def _ahead(match: re.Match[str], today: date) -> date | None:
    words = match[1]
    count = 1 if words.split()[-1] in ("a", "an") else number_in(words)
    if "couple" in words:
        count = 2
    if count is None or count > 366:
        return None
    if match[2] == "month":
        month = today.month - 1 + int(count)
        year, month = today.year + month // 12, month % 12 + 1
        return date(year, month, min(today.day, monthrange(year, month)[1]))
    return today + timedelta(days=int(count) * (7 if match[2] == "week" else 1))


def _next_day_of_month(day: int, today: date) -> date | None:
    first = today.replace(day=1)
    for _ in range(3):
        if monthrange(first.year, first.month)[1] >= day and first.replace(day=day) >= today:
            return first.replace(day=day)
        first = (first + timedelta(days=32)).replace(day=1)
    return None


_HOURS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
_HOUR = rf"(?P<hour>\d{{1,2}}|{'|'.join(_HOURS)})"
_MINUTE = (
    r"(?P<minute>o clock|oh (?:one|two|three|four|five|six|seven|eight|nine)|ten|fifteen"
    r"|twenty five|twenty|thirty five|thirty|forty five|forty|fifty five|fifty|00|[0-5]\d)"
)
_HALF_DAY = r"(?: ?(?P<half>a m|p m|am|pm))?"
_PAST = re.compile(
    rf"\b(?P<part>half|quarter|five|ten|twenty) ?(?:past|after) {_HOUR}\b{_HALF_DAY}"
)
_TO = re.compile(
    rf"\b(?P<part>quarter|five|ten|twenty) ?(?:to|of|before|till) {_HOUR}\b{_HALF_DAY}"
)
_FULL = re.compile(rf"\b{_HOUR} {_MINUTE}\b{_HALF_DAY}")
_BARE = re.compile(
    rf"(?:^|\b(?:at|around|about|by|for|make it|say|the) ){_HOUR}{_HALF_DAY}(?!\w)"
    rf"(?! (?:{'|'.join(_MONTH_NAMES)}|days?|weeks?|months?|of)\b)"
)
_AT = re.compile(rf"\bat {_HOUR}{_HALF_DAY}(?!\w)")
_MARKED = re.compile(rf"\b{_HOUR} ?(?P<half>a m|p m|am|pm)\b")
_PARTS = {"half": 30, "quarter": 15, "five": 5, "ten": 10, "twenty": 20}


def time_in(text: str, *, earliest: time = time(8), bare: bool = True) -> time | None:
    """Return the time of day `text` names, or None.

    Args:
        text: what the caller said, "half past three", "3:30 p.m.", "at nine".
        earliest: a time without AM or PM is the one that lies in the twelve hours from here.
        bare: whether a lone number is a time; if not, only one after "at" is.
    """
    plain = normal(text)
    if re.search(r"\b(noon|midday)\b", plain) and not re.search(r"\bafter ?noon\b", plain):
        return time(12)
    if "midnight" in plain:
        return time(0)
    for pattern, minutes in ((_PAST, 1), (_TO, -1)):
        if match := pattern.search(plain):
            hour = _hour(match["hour"])
            total = hour * 60 + minutes * _PARTS[match["part"]]
            return _placed(total // 60 % 24, total % 60, match["half"], plain, earliest)
    if match := _FULL.search(plain):
        return _placed(
            _hour(match["hour"]), _minute(match["minute"]), match["half"], plain, earliest
        )
    if match := _MARKED.search(plain) or (_BARE if bare else _AT).search(plain):
        return _placed(_hour(match["hour"]), 0, match["half"], plain, earliest)
    return None


def _hour(word: str) -> int:
    return _HOURS.get(word) or int(word)


def _minute(words: str) -> int:
    if words == "o clock":
        return 0
    if words.isdigit():
        return int(words)
    return int(number_in(words.removeprefix("oh ")) or 0)


def _placed(hour: int, minute: int, half: str | None, plain: str, earliest: time) -> time | None:
    if hour > 23 or minute > 59:
        return None
    half = (half or "").replace(" ", "")
    if not half and re.search(r"\bmorning\b", plain):
        half = "am"
    elif not half and re.search(r"\b(afternoon|evening|tonight|night)\b", plain):
        half = "pm"
    if half == "pm" and hour < 12:
        hour += 12
    elif half == "am" and hour == 12:
        hour = 0
    elif not half and hour < 13 and time(hour % 24, minute) < earliest and hour + 12 < 24:
        hour += 12
    return time(hour, minute)


def date_words(day: date, today: date) -> str:
    """Return a day as it is written for the caller: "Tuesday, May 5", with the year where it is
    not this one.
    """
    words = f"{WEEKDAYS[day.weekday()].capitalize()}, {MONTHS[day.month - 1]} {day.day}"
    return words if day.year == today.year else f"{words}, {day.year}"


def time_words(moment: time) -> str:
    """Return a time as it is written for the caller: "3:30 PM"."""
    half = "AM" if moment.hour < 12 else "PM"
    return f"{moment.hour % 12 or 12}:{moment.minute:02d} {half}"
