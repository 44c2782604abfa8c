"""The kinds of figures, each with how it is said: money, dates, times, telephone numbers. Pure.

What is most specific is tried first, bare digits last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from agent.speech.saying.tongue import Amount, Currency, Tongue
from agent.speech.saying.vocabulary import (
    CODES,
    FLIGHT,
    LABEL,
    MONTHS,
    RELEASE,
    SCALES,
    SIGNS,
    UNITS,
)

Say = Callable[[re.Match[str], Tongue], str | None]
"""Says what a pattern has found; None: it is none of that kind."""


def any_of(words: Iterable[str]) -> str:
    """Return a pattern of any of `words`, the longest first."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_END = r"(?![\w\u0900-\u097f])"
_AMOUNT = r"(?P<whole>\d{1,3}(?:,\d{2,3}){1,6}(?!\d)|\d{1,15}(?!\d))(?:\.(?P<fraction>\d+))?"
_SCALE = rf"(?:\s*(?P<scale>{any_of(SCALES)}){_END})?"
_SUM_SCALE = rf"(?:\s*(?P<scale>{any_of(SCALES)}|l){_END})?"
_SUM = re.compile(_AMOUNT + _SUM_SCALE, re.IGNORECASE)
_MONTH = rf"(?P<month>{any_of(MONTHS)}){_END}"
_YEAR = r"(?:,?\s+(?P<year>\d{4})(?!\d))?"
_MARK = rf"(?P<mark>[₹$€£]|(?:{any_of(CODES)})(?=\W|\d))"
_MARK_BEHIND = rf"(?:inr|usd|eur|gbp|rs){_END}(?!\.?\s*\d)"
_NTH = r"(?:st|nd|rd|th)?"
_HALF = r"(?P<half>[ap]m\b|[ap]\.m\.?)"
_O_CLOCK = rf"(?:\s*(?P<clock>बजे|baje){_END})?"
_RESULT = re.compile(
    r"(?:\s?%)?(?:\s?[-+\u2013\u2212]\s?[₹$€£]?\d[\d,.]*%?){0,8}(?P<gap>\s*)="
    r"\s*(?:[-\u2212₹$€£]|rs\.?|inr)?\s?\d",
    re.IGNORECASE,
)
_CODE_BEFORE = re.compile(r"[A-Z]-$|[a-z]$")
"""What makes a long number a part of a code: `AB-1234`, `xx1234`, but not `mid-2026`."""
_CONTEXT = 48


def is_difference(text: str, end: int, dash: str) -> bool:
    """Whether a result follows: `5 - 3 = 2`, `5-3=2`, and not `2025-26 = ₹5`."""
    result = _RESULT.match(text, end)
    return result is not None and bool(result["gap"]) == dash[0].isspace()


def _amount(found: re.Match[str]) -> Amount:
    written, scale = found["whole"], found.groupdict().get("scale")
    return Amount(
        int(written.replace(",", "")),
        found["fraction"] or "",
        SCALES.get(scale.lower(), "lakh") if scale else "",
        # 1,50,000 and not 150,000.
        bool(re.search(r",\d\d,", written)),
    )


def _iso(found: re.Match[str], tongue: Tongue) -> str | None:
    return _date(tongue, int(found[3]), int(found[2]), int(found[1]))


def _numeric(found: re.Match[str], tongue: Tongue) -> str | None:
    if RELEASE.search(_before(found)):
        return None
    first, second, year = int(found[1]), int(found[3]), int(found[4])
    day, month = (first, second) if tongue.is_day_first else (second, first)
    if month > 12 >= day:
        day, month = month, day
    return _date(tongue, day, month, year if year > 99 else 2000 + year)


def _named(found: re.Match[str], tongue: Tongue) -> str | None:
    if found["month"] in ("may", "march"):
        return None
    month = MONTHS[found["month"].lower()]
    year = int(found["year"] or 0)
    return _date(tongue, int(found["day"]), month, 2000 + year if 0 < year < 100 else year or None)


def _date(tongue: Tongue, day: int, month: int, year: int | None) -> str | None:
    if not 1 <= day <= 31 or not 1 <= month <= 12:
        return None
    return tongue.date(day, month, year)


def _sums(found: re.Match[str], tongue: Tongue) -> str | None:
    """Say `₹1-2 lakh`: what stands before the first and behind the last belongs to both."""
    one = _SUM.fullmatch(found["first"])
    is_spaced, is_dash = found["to"].strip() != found["to"], found["to"].strip() in "-\u2013"
    # `₹500 - 2 of them` is no range.
    is_clear = found["scale"] or (is_dash and (not is_spaced or "," in found["whole"]))
    if one is None or not is_clear or is_difference(found.string, found.end(), found["to"]):
        return None
    first, last = _amount(one), _amount(found)
    # Nobody says "one point five to two lakh".
    is_shared = first.fraction and first.whole <= last.whole
    scale = first.scale or (last.scale if is_shared else "")
    is_indian = first.is_indian or _currency(found) is Currency.RUPEE
    words = tongue.quantity(replace(first, scale=scale, is_indian=is_indian))
    return tongue.between(words, _money(found, tongue))


def _money(found: re.Match[str], tongue: Tongue) -> str:
    words = tongue.money(_amount(found), _currency(found))
    return f"{words} {tongue.per}" if found.groupdict().get("per") else words


def _currency(found: re.Match[str]) -> Currency:
    mark = found["mark"].lower()
    return SIGNS.get(mark) or CODES[mark]


def _quantity(found: re.Match[str], tongue: Tongue) -> str:
    return tongue.quantity(_amount(found))


def _time(found: re.Match[str], tongue: Tongue) -> str | None:
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    half = (found["half"] or "").lower().replace(".", "")
    if hour > 23 or minute > 59 or (half and hour > 12):
        return None
    words = tongue.time(hour, minute, half)
    clock = found["clock"]
    return words if not clock or tongue.o_clock else f"{words} {clock}"


def _phone(found: re.Match[str], tongue: Tongue) -> str | None:
    figures = re.sub(r"\D", "", found[0])
    groups = [figures[-10:-7], figures[-7:-4], figures[-4:]]
    parts = re.findall(r"\d+", found[0])
    if len(figures) < 10 or (len(parts) > 1 and all(2 <= len(part) <= 5 for part in parts)):
        groups = parts
    elif len(parts) > 1 and figures.startswith("0"):
        return ", ".join(spelt(tongue, part) for part in parts)
    elif len(figures) > 10:
        groups = [figures[:-10], *groups]
    words = ", ".join(tongue.digits(group) for group in groups)
    return tongue.plus(words) if "+" in found[0] else words


def _percent(found: re.Match[str], tongue: Tongue) -> str:
    return tongue.percent(_amount(found))


def _ordinal(found: re.Match[str], tongue: Tongue) -> str:
    return tongue.ordinal(int(found[1]))


def _between(found: re.Match[str], tongue: Tongue) -> str | None:
    if is_difference(found.string, found.end(), found[2]):
        return None
    last = found[3]
    end = tongue.percent(Amount(int(last))) if found[4] else _bare(tongue, last)
    return tongue.between(_bare(tongue, found[1]), end)


def _version(found: re.Match[str], tongue: Tongue) -> str:
    return f" {tongue.point} ".join(_bare(tongue, part) for part in found[0].split("."))


def code_in_parts(found: re.Match[str], tongue: Tongue) -> str | None:
    """Say a code that is written in parts: by its label, or by there being more than two."""
    parts = re.split(r"[- ]", found[0])
    # `560 001` is a postal code.
    is_code = len(parts) > 2 or " " in found[0]
    is_labelled = len("".join(parts)) > 4 and LABEL.search(_before(found))
    return ", ".join(spelt(tongue, part) for part in parts) if is_code or is_labelled else None


def _code(found: re.Match[str], tongue: Tongue) -> str:
    if len(found[0]) == 3 and found[0][:2].isdigit() and found[0][0] != "0":
        # A flat, a seat, a section.
        return f"{_bare(tongue, found[0][:2])} {found[0][2]}"
    return " ".join(tongue.digits(sign) if sign.isdigit() else sign for sign in found[0])


def _fiscal(found: re.Match[str], tongue: Tongue) -> str:
    years = _bare(tongue, found[2])
    return f"{found[1]} {tongue.between(years, _bare(tongue, found[3])) if found[3] else years}"


def _plus(found: re.Match[str], tongue: Tongue) -> str:
    return tongue.plus(tongue.quantity(_amount(found)))


def _always(_: re.Match[str], tongue: Tongue) -> str:
    return f"{_bare(tongue, '24')} {_bare(tongue, '7')}"


def _number(found: re.Match[str], tongue: Tongue) -> str | None:
    before = _before(found)
    figures = found["whole"]
    if found["fraction"] or "," in figures:
        return None
    is_code = len(figures) > 3 and (LABEL.search(before) or _CODE_BEFORE.search(before))
    if is_code or FLIGHT.search(before):
        return spelt(tongue, figures)
    return _bare(tongue, figures)


def _before(found: re.Match[str]) -> str:
    return found.string[max(0, found.start() - _CONTEXT) : found.start()]


def _bare(tongue: Tongue, figures: str) -> str:
    """Return digits of which nothing more is known: long, or with a nought before, a code."""
    if len(figures) == 4 and figures[:2] in ("19", "20"):
        return tongue.year(int(figures))
    if len(figures) > 4 or (len(figures) > 1 and figures.startswith("0")):
        return spelt(tongue, figures)
    return tongue.quantity(Amount(int(figures)))


def spelt(tongue: Tongue, figures: str) -> str:
    """Return digits one by one, in groups that can be followed."""
    size = 4 if len(figures) % 4 == 0 else 3
    head = len(figures) % size
    groups = [figures[at : at + size] for at in range(head, len(figures), size)]
    if head > 1 or not groups:
        groups.insert(0, figures[:head])
    elif head:
        groups[0] = figures[0] + groups[0]
    return ", ".join(tongue.digits(group) for group in groups)


RANGED: frozenset[Say] = frozenset(
    (_money, _time, _percent, _quantity, _ordinal, _iso, _numeric, _named)
)
PLAIN: frozenset[Say] = frozenset((_number,))


def _rules(*rules: tuple[str, Say]) -> tuple[tuple[re.Pattern[str], Say], ...]:
    return tuple((re.compile(pattern, re.IGNORECASE), say) for pattern, say in rules)


KINDS = _rules(
    (r"(\d{4})-(\d\d)-(\d\d)(?!\d)", _iso),
    (r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d\d)(?![.-]?\d)", _numeric),
    (rf"(?P<day>\d{{1,2}}){_NTH}\s+(?:of\s+)?{_MONTH}\.?{_YEAR}", _named),
    (rf"(?P<day>\d{{1,2}})-{_MONTH}(?:-(?P<year>\d{{4}}|\d\d)(?!\d))?", _named),
    (rf"{_MONTH}\.?\s+(?P<day>\d{{1,2}}){_NTH}(?![:.,]?\d){_YEAR}", _named),
    (
        rf"{_MARK}\.?\s*(?P<first>\d[\d,.]*(?:\s*(?:{any_of(SCALES)}|l){_END})?)"
        rf"(?P<to>\s?[-\u2013]\s?|\s(?:to|se|से)\s){_AMOUNT}{_SUM_SCALE}(?:\s?/-)?",
        _sums,
    ),
    (rf"{_MARK}\.?\s*{_AMOUNT}{_SUM_SCALE}(?:\s?/-)?(?P<per>/(?=[a-z]))?", _money),
    (rf"{_AMOUNT}{_SCALE}\s*(?P<mark>[₹€£]|/-(?!\d)|{_MARK_BEHIND})", _money),
    (rf"{_AMOUNT}{_SCALE}(?=\s*(?:{any_of(UNITS)}){_END})", _quantity),
    (rf"(?P<hour>\d{{1,2}})[:.](?P<minute>\d\d)(?::\d\d)?\s*{_HALF}(?P<clock>)", _time),
    (
        rf"(?P<hour>1[3-9]|2[0-3]):(?P<minute>\d\d)\s?(?:hrs|hours){_END}(?P<half>)(?P<clock>)",
        _time,
    ),
    (rf"(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::\d\d)?(?![:\d])(?P<half>){_O_CLOCK}", _time),
    (rf"(?P<hour>\d{{1,2}})(?P<minute>)\s*{_HALF}(?P<clock>)", _time),
    (
        r"(?<![\w.,])\+?(?:\(?0\d{1,4}\)?[ -](?:\d{6,8}|\d{3,4}[ -]\d{4})"
        r"|18[06]0[ -]\d{2,3}[ -]\d{3,4}|\d{10,13}|\d{5}[ -]\d{5}"
        r"|\(?\d{3,4}\)?[ -]?\d{3}[ -]\d{3,4}|\d{3}-\d{4}"
        r"|\d{4}(?:[ -]\d{4}){2,3}|\d{1,3}[ -](?:\d{10}|\d{5}[ -]\d{5}|\d{3}[ -]\d{3}[ -]\d{4})"
        r"|(?<=\+)\d{1,3}(?:[ -]\d{2,7}){2,4})"
        r"(?![\w-])",
        _phone,
    ),
    (rf"{_AMOUNT}(?P<scale>)\s*%", _percent),
    (rf"(\d{{1,4}})(?:(?:st|nd|rd|th|va|vaan){_END}|वाँ|वां|वीं|वें)", _ordinal),
    (r"\d{1,4}(?:\.\d{1,4}){2,5}(?!\w)", _version),
    (
        r"\d{1,8}(?:-\d{1,8}){1,5}(?![\w-])|(?<!\d )\d{3} \d{3}"
        rf"(?![\w-]|[,.]\d|\s?%|\s\d{{3}}(?!\d)|\s(?:{any_of([*UNITS, *SCALES])}){_END})",
        code_in_parts,
    ),
    (
        r"(?<![\w-])(\d{1,4})(\s?[-\u2013]\s?)(\d{1,4})(\s?%)?"
        rf"(?![\w-]|[,:.]\d|\s*(?:[ap]\.?m\b|[₹€£]|{_MARK_BEHIND}))",
        _between,
    ),
    (r"24\s?[/x\u00d7]\s?7(?!\d)", _always),
    (r"(?<!\w)(?-i:([FA]Y))(\d{4}|\d\d)(?:\s?[-\u2013]\s?(\d{4}|\d\d))?(?!\w)", _fiscal),
    (r"(?<!\w)(?-i:(?!\d\d+K\b)(?=\d*[A-Z])(?=[A-Z]*\d)[A-Z\d]{2,})(?!\w)", _code),
    (rf"\+\s*{_AMOUNT}(?![\d.]*\s?%)", _plus),
    (rf"{_AMOUNT}\s*(?P<scale>{any_of(SCALES)}){_END}", _quantity),
    (_AMOUNT, _number),
    (_AMOUNT, _quantity),
)  # fmt: skip
