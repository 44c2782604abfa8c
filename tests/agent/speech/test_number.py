"""Numbers to words and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.speech.number import (
    MAX_CARDINAL,
    cardinal,
    digits,
    digits_in,
    number_in,
    ordinal,
    ordinal_in,
    year,
)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (12, "twelve"),
        (45, "forty five"),
        (100, "one hundred"),
        (149, "one hundred forty nine"),
        (15_000, "fifteen thousand"),
        (1_000_001, "one million one"),
        (-3, "minus three"),
    ],
)
def test_cardinals(number: int, words: str) -> None:
    assert cardinal(number) == words


def test_cardinals_of_india_count_in_lakh_and_crore() -> None:
    assert cardinal(12_345_678, indian=True) == (
        "one crore twenty three lakh forty five thousand six hundred seventy eight"
    )


def test_number_too_large_to_say_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        cardinal(MAX_CARDINAL + 1)


@given(st.integers(0, 999_999))
def test_words_come_back_as_the_number(number: int) -> None:
    assert number_in(cardinal(number)) == number


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "first"), (3, "third"), (12, "twelfth"), (20, "twentieth"), (21, "twenty first")],
)
def test_ordinals(number: int, words: str) -> None:
    assert ordinal(number) == words


@given(st.integers(1, 31))
def test_ordinals_come_back_in_words_and_figures(day: int) -> None:
    assert ordinal_in(f"on the {ordinal(day)} please") == day
    assert ordinal_in(f"the {day}th") == day


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (2026, "twenty twenty six"),
        (1999, "nineteen ninety nine"),
        (1904, "nineteen oh four"),
        (2005, "two thousand five"),
        (1900, "nineteen hundred"),
    ],
)
def test_years(number: int, words: str) -> None:
    assert year(number) == words


@given(st.text("0123456789", min_size=1, max_size=15))
def test_digits_come_back(figures: str) -> None:
    assert digits_in(digits(figures)) == figures


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("415-555-0192", "4155550192"),
        ("Four, one, five, five five five, oh one nine two.", "4155550192"),
        ("double five, triple zero", "55000"),
        ("nine eighty seven six", "9876"),
        ("twenty one, forty two", "2142"),
        ("for one five", "415"),
        ("I am waiting for you", ""),
        ("two hundred", "2"),
        ("+91 98765 43210", "919876543210"),
        ("nothing here", ""),
    ],
)
def test_digits_in_speech(text: str, found: str) -> None:
    assert digits_in(text) == found


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("two hundred and fifty", 250),
        ("a hundred dollars", 100),
        ("about 1,200.50 or so", 1200.5),
        ("15 thousand", 15_000),
        ("three lakh twenty thousand", 320_000),
        ("I do not know", None),
        ("twenty five", 25),
    ],
)
def test_quantities_in_speech(text: str, number: float | None) -> None:
    assert number_in(text) == number


def test_no_ordinal_is_none() -> None:
    assert ordinal_in("whenever you like") is None
