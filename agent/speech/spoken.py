"""Text as it should be said: figures, money, dates, times, numbers and addresses in words. Pure.

The voice reads long digit strings as quantities and stumbles over titles and codes; what it is
given here is words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from agent.speech.number import MAX_CARDINAL, cardinal, digits, ordinal, year

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "usd": ("dollar", "dollars", "cent", "cents"),
    "\u20ac": ("euro", "euros", "cent", "cents"),
    "eur": ("euro", "euros", "cent", "cents"),
    "\u00a3": ("pound", "pounds", "penny", "pence"),
    "gbp": ("pound", "pounds", "penny", "pence"),
    "\u20b9": ("rupee", "rupees", "paisa", "paise"),
    "rs": ("rupee", "rupees", "paisa", "paise"),
    "inr": ("rupee", "rupees", "paisa", "paise"),
}
_TITLES = {
    "Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor",
    "Smt": "Shrimati", "Jr": "Junior", "Sr": "Senior", "vs": "versus", "etc": "et cetera",
    "approx": "approximately", "Ext": "extension", "ext": "extension",
}  # fmt: skip
_LETTERS = {"A": "ay", "a": "ay"}
_AMOUNT = r"(?P<amount>\d[\d,]*(?:\.\d{1,2})?)(?!\d)"
_SCALE = r"(?:\s*(?P<scale>thousand|lakh|lakhs|million|crore|crores|billion|k)\b)?"
_MONTH = "|".join(f"{name}|{name[:3]}" for name in MONTHS)


def spoken(text: str) -> str:
    """Return `text` in words that can be read aloud as they stand; plain prose comes back
    unchanged.
    """
    for pattern, replace in _RULES:
        text = pattern.sub(replace, text)
    return " ".join(text.split())


def spoken_date(day: date, *, with_year: bool = True) -> str:
    """Return a date as it is said: "May first, twenty twenty six"."""
    words = f"{MONTHS[day.month - 1]} {ordinal(day.day)}"
    return f"{words}, {year(day.year)}" if with_year else words


def spoken_time(hour: int, minute: int) -> str:
    """Return a time of day as it is said: "three thirty PM", "nine AM", "noon" for 12:00."""
    if minute == 0 and hour in (0, 12):
        return "noon" if hour == 12 else "midnight"
    half = "AM" if hour < 12 else "PM"
    words = cardinal(hour % 12 or 12)
    if minute:
        words += f" {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    return f"{words} {half}"


def spoken_digits(text: str) -> str:
    """Return digits in groups that can be followed: "four one five, five five five, zero one
    nine two".
    """
    figures = re.sub(r"\D", "", text)
    return ", ".join(digits(group) for group in _groups(figures))


def spoken_letters(text: str) -> str:
    """Return a code letter by letter, digit by digit: "A B 7" as "ay B seven"."""
    return " ".join(
        digits(char) if char.isdigit() else _LETTERS.get(char, char.upper())
        for char in text
        if char.isalnum()
    )


def _groups(figures: str) -> list[str]:
    """Return a number's digits in the groups people say: 3-3-4 for ten, else threes with a last
    group up to four.
    """
    if len(figures) == 10:
        return [figures[:3], figures[3:6], figures[6:]]
    if len(figures) <= 5:
        return [figures]
    head = len(figures) % 3 or 3
    groups = [figures[at : at + 3] for at in range(head, len(figures), 3)]
    if head == 1:
        # A lone first digit is a country code; a lone last one never arises.
        return [figures[:1], *groups]
    return [figures[:head], *groups]


def _phone(match: re.Match[str]) -> str:
    text = match[0]
    figures = re.sub(r"\D", "", text)
    if len(figures) < 7:
        return text
    if len(figures) > 10:
        country = spoken_digits(figures[:-10])
        return f"{'plus ' if text.startswith('+') else ''}{country}, {spoken_digits(figures[-10:])}"
    parts = re.findall(r"\d+", text)
    if len(parts) > 1 and all(2 <= len(part) <= 4 for part in parts):
        return ", ".join(digits(part) for part in parts)
    return spoken_digits(figures)


def _money(match: re.Match[str]) -> str:
    names = _CURRENCIES[(match["sign"] or match["unit"]).lower().rstrip(".")]
    whole, _, part = match["amount"].replace(",", "").partition(".")
    indian = names[0] == "rupee"
    scale = match["scale"]
    if scale:
        scale = "thousand" if scale == "k" else scale
        fraction = f" point {digits(part)}" if part.strip("0") else ""
        return f"{cardinal(int(whole), indian=indian)}{fraction} {scale} {names[1]}"
    units = int(whole)
    cents = int(part.ljust(2, "0")) if part else 0
    words = [f"{cardinal(units, indian=indian)} {names[0] if units == 1 else names[1]}"]
    if cents:
        words.append(f"{cardinal(cents)} {names[2] if cents == 1 else names[3]}")
        if units == 0:
            return words[1]
    return " and ".join(words)


def _iso_date(match: re.Match[str]) -> str:
    try:
        day = date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return match[0]
    return spoken_date(day)


def _month_first(match: re.Match[str]) -> str:
    month = _full_month(match["month"])
    words = f"{month} {ordinal(int(match['day']))}"
    return f"{words}, {year(int(match['year']))}" if match["year"] else words


def _day_first(match: re.Match[str]) -> str:
    words = f"{_full_month(match['month'])} {ordinal(int(match['day']))}"
    return f"{words}, {year(int(match['year']))}" if match["year"] else words


def _full_month(name: str) -> str:
    return next(month for month in MONTHS if month[:3].lower() == name[:3].lower())


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    half = (match["half"] or "").lower().replace(".", "")
    if hour > 23 or minute > 59:
        return match[0]
    if half == "pm" and hour < 12:
        hour += 12
    elif half == "am" and hour == 12:
        hour = 0
    if not half and hour < 13 and hour != 0:
        # "9:30" says no half of the day, and neither may we.
        return f"{cardinal(hour)} {_minutes(minute)}"
    return spoken_time(hour, minute)


def _minutes(minute: int) -> str:
    if minute == 0:
        return "o'clock"
    return f"{'oh ' if minute < 10 else ''}{cardinal(minute)}"


def _ordinal(match: re.Match[str]) -> str:
    return ordinal(int(match[1]))


def _decimal(match: re.Match[str]) -> str:
    return f"{_quantity(match[1])} point {digits(match[2])}"


def _percent(match: re.Match[str]) -> str:
    return f"{spoken(match[1])} percent"


def _number(match: re.Match[str]) -> str:
    return _quantity(match[0])


def _quantity(text: str) -> str:
    """Return a bare number: with commas or short it is a quantity, long or with a leading zero
    it is an identifier.
    """
    figures = text.replace(",", "")
    if "," in text and int(figures) <= MAX_CARDINAL:
        return cardinal(int(figures))
    if len(figures) == 4 and figures[:2] in ("19", "20"):
        return year(int(figures))
    if len(figures) > 4 or (len(figures) > 1 and figures.startswith("0")):
        return spoken_digits(figures)
    return cardinal(int(figures))


def _email(match: re.Match[str]) -> str:
    return f"{_readable(match[1])} at {_readable(match[2])}"


def _url(match: re.Match[str]) -> str:
    return _readable(match["host"] + (match["path"] or "").rstrip("/"))


def _readable(address: str) -> str:
    words = re.sub(r"[._\-+/]", lambda match: _SYMBOLS[match[0]], address)
    return re.sub(r"\d+", lambda match: f" {digits(match[0])} ", words)


_SYMBOLS = {".": " dot ", "_": " underscore ", "-": " dash ", "+": " plus ", "/": " slash "}


def _code(match: re.Match[str]) -> str:
    return spoken_letters(match[0])


def _labelled(match: re.Match[str]) -> str:
    figures = match["figures"]
    if any(char.isalpha() for char in figures):
        return f"{match['label']}{spoken_letters(figures)}"
    return f"{match['label']}{spoken_digits(figures)}"


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\b([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)"), _email),
    (
        re.compile(
            r"\b(?:https?://)?(?:www\.)?(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|in|io|co|uk"
            r"|example|dev|health|clinic)(?:\.[a-z]{2})?)\b(?P<path>/[\w./-]*[\w/])?",
            re.IGNORECASE,
        ),
        _url,
    ),
    (re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b(?:T\S+)?"), _iso_date),
    (
        re.compile(
            rf"\b(?P<month>{_MONTH})\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b"
            r"(?:,? (?P<year>\d{4})\b)?"
        ),
        _month_first,
    ),
    (
        re.compile(
            rf"\b(?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<month>{_MONTH})\b"
            r"(?:,? (?P<year>\d{4})\b)?"
        ),
        _day_first,
    ),
    (
        re.compile(
            rf"(?:(?P<sign>[$\u20ac\u00a3\u20b9]|\b(?:Rs\.?|INR|USD|EUR|GBP))\s?{_AMOUNT}{_SCALE}(?P<unit>))",
            re.IGNORECASE,
        ),
        _money,
    ),
    (
        re.compile(rf"\b{_AMOUNT}{_SCALE}\s?(?P<sign>)(?P<unit>INR|USD|EUR|GBP)\b"),
        _money,
    ),
    (
        re.compile(
            r"\b(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2})?(?:\s?(?P<half>[ap]m\b|[ap]\.m\.))?",
            re.IGNORECASE,
        ),
        _time,
    ),
    (
        re.compile(r"\b(?P<hour>\d{1,2})(?P<minute>)\s?(?P<half>[ap]m\b|[ap]\.m\.)", re.IGNORECASE),
        _time,
    ),
    (re.compile(r"(?<![\w.])[+(]?\d[\d\-() ]{5,}\d(?![\w])"), _phone),
    (
        re.compile(
            r"(?P<label>\b(?:zip|zip code|pin|pin code|code|order|reference|account|booking|number"
            r"|id|ID|PIN)(?: number| id| is)?:?\s+#?)(?P<figures>[A-Z]*\d[A-Z\d]{3,})\b"
        ),
        _labelled,
    ),
    (re.compile(r"\b(?=[A-Z]*\d)(?=\d*[A-Z])[A-Z\d]{3,}\b"), _code),
    (re.compile(r"\b24/7\b"), lambda match: "twenty four seven"),
    (
        re.compile(r"\b(\d{1,4})\s?[-\u2013]\s?(\d{1,4})\b"),
        lambda match: f"{match[1]} to {match[2]}",
    ),
    (re.compile(r"(\d[\d,]*(?:\.\d+)?)\s?%"), _percent),
    (re.compile(r"\b(\d{1,4})(?:st|nd|rd|th)\b"), _ordinal),
    (re.compile(r"\b(\d[\d,]*)\.(\d+)\b"), _decimal),
    (re.compile(r"\b\d{1,3}(?:,\d{2,3})+\b|\d+"), _number),
    (re.compile(rf"\b({'|'.join(_TITLES)})\.(?=\s|$)"), lambda match: _TITLES[match[1]]),
    (re.compile(r"\bSt\.(?= [A-Z])"), lambda match: "Saint"),
    (re.compile(r"\s&\s"), lambda match: " and "),
    (re.compile(r"[*_#`]+"), lambda match: ""),
)
"""Applied in this order: what is most specific first, bare digits last."""
