"""Phone numbers as different systems spell them: compared by their digits alone. Pure."""

from __future__ import annotations

import re
from typing import Any

LEAST_DIGITS = 6
"""Fewer belong to too many people, and to too many other things in what diallers send."""
MOST_DIGITS = 18
SEPARATORS = " -().,/+"
"""What people and programs put between digits, or before them."""

_NUMBER = re.compile(rf"[0-9{re.escape(SEPARATORS)}]+")
_DIALLED = re.compile(rf"\+?[0-9]{{3,{MOST_DIGITS}}}")
_URI = re.compile(r"\s*<?(?:sips?|tel):([^@;>]+)", re.IGNORECASE)


def normalised(text: str) -> str:
    """Return a number's digits without leading zeros, or "" for what is no number.

    `+49 (30) 1234-56`, `004930123456` and `sip:4930123456@host` are the same one. A national number
    (`030 123456`) is another: nothing here says which country it is of.
    """
    uri = _URI.match(text)
    spelt = uri[1] if uri else text
    if not _NUMBER.fullmatch(spelt):
        return ""
    return re.sub(r"\D", "", spelt).lstrip("0")


def dialable(text: str) -> str:
    """Return a number as it is dialled, `+914412345678` or `04412345678`; "" for what is none."""
    spelt = re.sub(r"[ \-().,/]", "", text.strip().removeprefix("tel:"))
    return spelt if _DIALLED.fullmatch(spelt) else ""


def is_named_in(value: Any, number: str) -> bool:
    """Return whether any text or whole number inside a JSON value is this (normalised) number."""
    match value:
        case dict():
            return any(is_named_in(item, number) for item in value.values())
        case list():
            return any(is_named_in(item, number) for item in value)
        case str():
            return normalised(value) == number
        case int():
            return normalised(str(value)) == number
        case _:
            return False
