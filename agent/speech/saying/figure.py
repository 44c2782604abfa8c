"""Finds figures in text, and says them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.speech.saying.kind import (
    KINDS,
    PLAIN,
    RANGED,
    Say,
    any_of,
    code_in_parts,
    is_difference,
    spelt,
)
from agent.speech.saying.tongue import Tongue
from agent.speech.saying.vocabulary import CODES, MONTHS

_TAG = re.compile(r"</?[a-z]", re.IGNORECASE)
_DASH = re.compile(r"\s?[-\u2013\u2212]\s?")
_TOKEN = re.compile(r"\S+@\S+|@[^\W\d]\S*|https?://\S+|www\.\S+", re.IGNORECASE)
_START = re.compile(
    rf"\d|[+₹$€£](?=\s*\d)|(?<!\S)[-\u2212](?=[₹$€£]?\d)|\((?=\d{{3,5}}\)\s?\d)|(?-i:(?<!\w)[A-Z](?=[A-Z]{{0,5}}\d))"
    rf"|(?<![\w\u0900-\u097f])(?:{any_of([*MONTHS, *CODES])})(?=\.?\s*\d)",
    re.IGNORECASE,
)
_RUN = re.compile(r"\d[\d,]*\d")
_MOST_DIGITS = 15
"""What has more counts nothing."""
_DEVANAGARI_DIGITS = {0x0966 + digit: str(digit) for digit in range(10)}


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of text: as it is written, and how it is said where that is another way."""

    written: str
    spoken: str | None = None


def said(text: str, tongue: Tongue, start: int = 0) -> Iterator[Said]:
    """Yield `text` from `start` on, cut where figures begin and end; joined it is all there.

    Args:
        text: what is said, after `start`; what was said before it tells a code from a quantity.
        tongue: how.
        start: where to begin, an index.
    """
    plain_from = at = start
    figures = text.translate(_DEVANAGARI_DIGITS)
    while found := _START.search(figures, at):
        at = found.start()
        if unsaid := _tag(figures, at) or _address(figures, at):
            at = unsaid
            continue
        figure = _figure(figures, at, tongue)
        if figure is None:
            at += 1
            continue
        end, spoken, kind = figure
        while joined := _joined(figures, end, spoken, kind, tongue):
            end, spoken, kind = joined
        if plain_from < at:
            yield Said(text[plain_from:at])
        yield Said(text[at:end], _apart(figures, at, end, spoken))
        plain_from = at = end
    if plain_from < len(text):
        yield Said(text[plain_from:])


def _tag(text: str, at: int) -> int | None:
    """Return where the markup ends that holds a digit; None where there is none."""
    begin = text.rfind("<", 0, at)
    if begin < 0 or ">" in text[begin:at] or not _TAG.match(text, begin):
        return None
    return text.find(">", at) + 1 or len(text)


def _address(text: str, at: int) -> int | None:
    """Return where the mail or web address ends that holds a digit; None where there is none."""
    begin = max(text.rfind(space, 0, at) for space in " \n\t") + 1
    found = _TOKEN.match(text, begin)
    return found.end() if found and found.end() > at else None


def _apart(text: str, at: int, end: int, spoken: str) -> str:
    """Set words apart from letters that a figure touched: `5km`."""
    before, after = text[at - 1 : at], text[end : end + 1]
    return f"{' ' if before.isalnum() else ''}{spoken}{' ' if after.isalpha() else ''}"


def _joined(
    text: str, end: int, spoken: str, kind: Say, tongue: Tongue
) -> tuple[int, str, Say] | None:
    """Join a figure, which ends there, with what a dash leads to: a range, or a difference."""
    dash = _DASH.match(text, end)
    if dash is None or not _START.match(text, dash.end()):
        return None
    last = _figure(text, dash.end(), tongue)
    if last is None:
        return None
    if dash[0].strip() == "\u2212" or is_difference(text, last[0], dash[0]):
        return last[0], f"{spoken} {tongue.minus(last[1])}", last[2]
    kinds = {kind, last[2]}
    # `Plan 2 - ₹500` is no range, and `₹500-600` is.
    is_spaced = dash[0].strip() != dash[0]
    is_range = kinds <= RANGED if is_spaced else kinds <= RANGED | PLAIN
    if not is_range or not kinds & RANGED or (is_spaced and len(kinds) > 1):
        return None
    return last[0], tongue.between(spoken, last[1]), last[2]


def _figure(text: str, at: int, tongue: Tongue) -> tuple[int, str, Say] | None:
    if text[at] in "-\u2212":
        sized = _figure(text, at + 1, tongue)
        return sized and (sized[0], tongue.minus(sized[1]), sized[2])
    run = _RUN.match(text, at)
    if run is not None and len(figures := run[0].replace(",", "")) > _MOST_DIGITS:
        return run.end(), spelt(tongue, figures), code_in_parts
    for pattern, say in KINDS:
        found = pattern.match(text, at)
        if found and (spoken := say(found, tongue)) is not None:
            return found.end(), spoken, say
    return None
