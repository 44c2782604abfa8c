"""Numbers as English says them, both ways: figures to words for the voice, words to figures for
the ear.
"""

from __future__ import annotations

import re

_UNITS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
]  # fmt: skip
_TENS = [
    "zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
]  # fmt: skip
_SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"))
_INDIAN_SCALES = ((10_000_000, "crore"), (100_000, "lakh"), (1_000, "thousand"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
MAX_CARDINAL = 999_999_999_999


def cardinal(number: int, *, indian: bool = False) -> str:
    """Return `number` in words: "one hundred forty nine"; `indian` counts in lakh and crore.

    Raises:
        ValueError: beyond `MAX_CARDINAL`; read such numbers digit by digit.
    """
    if abs(number) > MAX_CARDINAL:
        raise ValueError(f"{number} is too large to say")
    if number < 0:
        return "minus " + cardinal(-number, indian=indian)
    if number < 100:
        return _below_hundred(number)
    words = []
    for size, name in _INDIAN_SCALES if indian else _SCALES:
        if number >= size:
            words.append(f"{cardinal(number // size, indian=indian)} {name}")
            number %= size
    if number >= 100:
        words.append(f"{_UNITS[number // 100]} hundred")
        number %= 100
    if number:
        words.append(_below_hundred(number))
    return " ".join(words)


def _below_hundred(number: int) -> str:
    if number < 20:
        return _UNITS[number]
    tens, unit = divmod(number, 10)
    return f"{_TENS[tens]} {_UNITS[unit]}" if unit else _TENS[tens]


def ordinal(number: int) -> str:
    """Return `number` as an ordinal: "twenty first"."""
    head, _, last = cardinal(number).rpartition(" ")
    if last in _ORDINALS:
        last = _ORDINALS[last]
    else:
        last = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return f"{head} {last}".strip()


def year(number: int) -> str:
    """Return a year as it is said: "twenty twenty six", "two thousand five", "nineteen oh four"."""
    century, rest = divmod(number, 100)
    if not 1100 <= number <= 2999 or (century % 10 == 0 and rest < 10):
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def digits(text: str) -> str:
    """Return the digits of `text` one by one: "nine four one one zero"."""
    return " ".join(_UNITS[int(char)] for char in text if char.isascii() and char.isdigit())


_VALUES: dict[str, int] = (
    {word: value for value, word in enumerate(_UNITS)}
    | {word: value * 10 for value, word in enumerate(_TENS) if value > 1}
    | {"oh": 0, "o": 0, "fourty": 40}
)
_ORDINAL_VALUES = {ordinal(value): value for value in range(1, 32)} | {
    ordinal(value): value for value in (40, 50, 60, 70, 80, 90)
}
_MULTIPLIERS = {
    "thousand": 1_000, "lakh": 100_000, "lakhs": 100_000, "million": 1_000_000,
    "crore": 10_000_000, "crores": 10_000_000, "billion": 1_000_000_000,
}  # fmt: skip
_REPEATS = {"double": 2, "triple": 3}
_TOKEN = re.compile(r"[a-z]+|\d+(?:,\d{2,3})+(?!\d)|\d+")


_HOMOPHONES = {"for": "four", "to": "two", "too": "two", "won": "one", "ate": "eight"}
"""What the recogniser writes for a digit; taken for one only where a number follows."""


def _is_number(token: str) -> bool:
    return token.isdigit() or token in _VALUES or token in _REPEATS


def digits_in(text: str) -> str:
    """Return the digits that `text` spells, in order: "double five, one two", "415-555" and "twenty
    one" alike.

    Words that are no numbers are skipped, so the caller must know that digits were asked for.
    """
    found: list[str] = []
    repeat = 1
    tens = False
    tokens = _TOKEN.findall(text.lower().replace(",", " "))
    for at, token in enumerate(tokens):
        if token in _HOMOPHONES and at + 1 < len(tokens) and _is_number(tokens[at + 1]):
            token = _HOMOPHONES[token]
        if token in _REPEATS:
            repeat = _REPEATS[token]
            continue
        if token.isdigit():
            found.append(token * repeat)
        elif token in _VALUES:
            value = _VALUES[token]
            if tens and 0 < value < 10:
                found[-1] = str(int(found[-1]) + value)
            else:
                found.append(str(value) * repeat)
            tens = value >= 20
            repeat = 1
            continue
        repeat, tens = 1, False
    return "".join(found)


def number_in(text: str) -> float | None:
    """Return the first quantity `text` names, in figures or words ("two hundred and fifty",
    "1,200.50"), or None.
    """
    lowered = text.lower()
    figures = re.search(r"\d[\d,]*(?:\.\d+)?", lowered)
    if figures:
        value = float(figures[0].replace(",", ""))
        after = re.match(r"\s*([a-z]+)", lowered[figures.end() :])
        return value * _MULTIPLIERS.get(after[1], 1) if after else value
    return _spelt_number(re.findall(r"[a-z]+", lowered))


def _spelt_number(words: list[str]) -> float | None:
    total, current = 0, 0
    seen = False
    for word in words:
        if word in _VALUES:
            current += _VALUES[word]
            seen = True
        elif word == "hundred" and (seen or current == 0):
            current = max(current, 1) * 100
            seen = True
        elif word in _MULTIPLIERS and seen:
            total += max(current, 1) * _MULTIPLIERS[word]
            current = 0
        elif seen and word not in ("and", "a"):
            break
    return float(total + current) if seen else None


def ordinal_in(text: str) -> int | None:
    """Return the day-like ordinal (1 to 31) `text` names, "the 21st" or "twenty first", or None."""
    figures = re.search(r"\b(\d{1,2})(?:st|nd|rd|th)\b", text.lower())
    if figures:
        return int(figures[1])
    words = re.findall(r"[a-z]+", text.lower())
    for at, word in enumerate(words):
        pair = " ".join(words[at : at + 2])
        if pair in _ORDINAL_VALUES:
            return _ORDINAL_VALUES[pair]
        if word in _ORDINAL_VALUES:
            return _ORDINAL_VALUES[word]
    return None
