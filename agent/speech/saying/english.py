"""Figures in English: as in India, as in America, as in Britain."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.speech.number import MAX_CARDINAL, cardinal, digits, ordinal, year
from agent.speech.saying.tongue import Amount, Currency

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_COINS = {
    Currency.RUPEE: ("rupee", "rupees", "paisa", "paise"),
    Currency.DOLLAR: ("dollar", "dollars", "cent", "cents"),
    Currency.EURO: ("euro", "euros", "cent", "cents"),
    Currency.POUND: ("pound", "pounds", "penny", "pence"),
}
_AND = re.compile(r"hundred (?!thousand|lakh|million|crore|billion)")


@dataclass(frozen=True, slots=True)
class English:
    """One of its ways.

    Attributes:
        is_day_first: whether 5/8 is in August.
        counts_in_lakh: whether 150,000 is one lakh fifty thousand.
        has_and: whether a hundred takes an "and".
    """

    is_day_first: bool = True
    counts_in_lakh: bool = False
    has_and: bool = True
    o_clock: str = ""
    point: str = "point"
    per: str = "per"

    def quantity(self, amount: Amount) -> str:
        words = self._cardinal(amount.whole, is_indian=amount.is_indian)
        if amount.fraction:
            words = f"{words} point {digits(amount.fraction)}"
        return f"{words} {amount.scale}" if amount.scale else words

    def digits(self, figures: str) -> str:
        return digits(figures)

    def money(self, amount: Amount, currency: Currency) -> str:
        one, many, cent, cents = _COINS[currency]
        is_indian = amount.is_indian or currency is Currency.RUPEE
        if amount.scale:
            fraction = amount.fraction if amount.fraction.strip("0") else ""
            count = Amount(amount.whole, fraction, amount.scale, is_indian)
            return f"{self.quantity(count)} {many}"
        if len(amount.fraction) > 2:
            return f"{self.quantity(amount)} {many}"
        small = int(amount.fraction.ljust(2, "0")) if amount.fraction else 0
        parts = []
        if amount.whole or not small:
            words = self._cardinal(amount.whole, is_indian=is_indian)
            parts.append(f"{words} {one if amount.whole == 1 else many}")
        if small:
            parts.append(f"{cardinal(small)} {cent if small == 1 else cents}")
        return " and ".join(parts)

    def percent(self, amount: Amount) -> str:
        return f"{self.quantity(amount)} percent"

    def date(self, day: int, month: int, year: int | None) -> str:
        name = MONTHS[month - 1]
        words = f"{ordinal(day)} {name}" if self.is_day_first else f"{name} {ordinal(day)}"
        return words if year is None else f"{words}, {self.year(year)}"

    def year(self, number: int) -> str:
        return year(number)

    def time(self, hour: int, minute: int, half: str) -> str:
        if not half and (hour > 12 or hour == 0):
            half = "am" if hour < 12 else "pm"
        words = cardinal(hour % 12 or 12)
        if minute:
            words = f"{words} {'oh ' if minute < 10 else ''}{cardinal(minute)}"
        if half:
            return f"{words} {half.upper()}"
        return words if minute else f"{words} o'clock"

    def ordinal(self, number: int) -> str:
        return ordinal(number)

    def between(self, first: str, last: str) -> str:
        return f"{first} to {last}"

    def minus(self, words: str) -> str:
        return f"minus {words}"

    def plus(self, words: str) -> str:
        return f"plus {words}"

    def _cardinal(self, number: int, *, is_indian: bool) -> str:
        if number > MAX_CARDINAL:
            return digits(str(number))
        words = cardinal(number, indian=is_indian or self.counts_in_lakh)
        return _AND.sub("hundred and ", words) if self.has_and else words


AMERICAN = English(is_day_first=False, has_and=False)
BRITISH = English()
INDIAN = English(counts_in_lakh=True)
