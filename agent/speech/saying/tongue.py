"""What a language has to know to say figures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Currency(StrEnum):
    """Whose money it is."""

    RUPEE = "rupee"
    DOLLAR = "dollar"
    EURO = "euro"
    POUND = "pound"


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity as it was written: `1,50,000`, `2.5 lakh`.

    Attributes:
        whole: before the point.
        fraction: the digits after it, as written.
        scale: `thousand`, `lakh`, `million`, `crore`, `billion`; "" where none was written.
        is_indian: whether its digits were grouped as in India.
    """

    whole: int
    fraction: str = ""
    scale: str = ""
    is_indian: bool = False


class Tongue(Protocol):
    """One way to say figures."""

    @property
    def is_day_first(self) -> bool:
        """Whether 5/8 is the fifth of August."""

    @property
    def o_clock(self) -> str:
        """The word that is said behind every time of day, and often written there as well."""

    @property
    def point(self) -> str:
        """The word between the parts of `2.0.1`."""

    @property
    def per(self) -> str:
        """The word for the stroke of `₹99/month`."""

    def quantity(self, amount: Amount) -> str:
        """Return so many."""

    def digits(self, figures: str) -> str:
        """Return figures one by one, without pauses."""

    def money(self, amount: Amount, currency: Currency) -> str:
        """Return a sum of money."""

    def percent(self, amount: Amount) -> str:
        """Return a share of a hundred."""

    def date(self, day: int, month: int, year: int | None) -> str:
        """Return a day."""

    def year(self, number: int) -> str:
        """Return a year."""

    def time(self, hour: int, minute: int, half: str) -> str:
        """Return a time of day; `half` is `am`, `pm` or "" where it was not written."""

    def ordinal(self, number: int) -> str:
        """Return which one in a row."""

    def between(self, first: str, last: str) -> str:
        """Return a range, whose ends are in words."""

    def minus(self, words: str) -> str:
        """Return words with a minus before them, as of a balance."""

    def plus(self, words: str) -> str:
        """Return words with a plus before them, as of a telephone number."""
