"""Cleans what a recogniser returns: spaces, and the loops a model falls into on noise."""

from __future__ import annotations

import re

_LOOP = re.compile(r"\b(?P<phrase>\w+(?:\W+\w+){0,5}?)(?:\W+(?P=phrase)\b){3,}", re.IGNORECASE)
_LETTERS_ONLY = re.compile(r"[^\W\d_]")


def tidy(text: str) -> str:
    """Return `text` with single spaces; a phrase said four times or more in a row stays once.

    Digits are left alone: "five five five five" and "0000" are things callers say.
    """
    text = " ".join(text.split())
    return _LOOP.sub(_once, text)


def _once(match: re.Match[str]) -> str:
    phrase = match["phrase"]
    words = {word.lower() for word in re.findall(r"\w+", phrase)}
    if words <= _NUMBER_WORDS or not _LETTERS_ONLY.search(phrase):
        return match[0]
    return phrase


_NUMBER_WORDS = frozenset(
    (
        "zero", "oh", "o", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
        "ten", "double", "triple",
    )
)  # fmt: skip
