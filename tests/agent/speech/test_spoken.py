"""Written text as it should be said."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.speech.spoken import spoken, spoken_date, spoken_digits, spoken_letters, spoken_time


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("415-555-0192", "four one five, five five five, zero one nine two"),
        ("(415) 555-0192", "four one five, five five five, zero one nine two"),
        (
            "+91 98765 43210",
            "plus nine one, nine eight seven, six five four, three two one zero",
        ),
        ("zip code 94110", "zip code nine four one one zero"),
        ("order number 88231", "order number eight eight two three one"),
        ("booking AB792K", "booking ay B seven nine two K"),
        ("007", "zero zero seven"),
    ],
)
def test_identifiers_are_read_digit_by_digit(text: str, words: str) -> None:
    assert spoken(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$149.95", "one hundred forty nine dollars and ninety five cents"),
        ("$1", "one dollar"),
        ("$0.50", "fifty cents"),
        ("$3.5 million", "three point five million dollars"),
        ("\u20b915,000", "fifteen thousand rupees"),
        ("Rs. 2,500", "two thousand five hundred rupees"),
        ("INR 1,25,000", "one lakh twenty five thousand rupees"),
        ("500 INR", "five hundred rupees"),
        ("\u00a33.01", "three pounds and one penny"),
        ("\u20ac20", "twenty euros"),
    ],
)
def test_money(text: str, words: str) -> None:
    assert spoken(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-05-01", "May first, twenty twenty six"),
        ("May 5", "May fifth"),
        ("on March 23rd, 2027", "on March twenty third, twenty twenty seven"),
        ("the 3rd of March", "March third"),
        ("Tuesday, May 5 at 3:30 PM", "Tuesday, May fifth at three thirty PM"),
        ("You may 5 times", "You may five times"),
    ],
)
def test_dates(text: str, words: str) -> None:
    assert spoken(text) == words


def test_impossible_date_is_no_date() -> None:
    assert "May" not in spoken("2026-05-45")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("15:30", "three thirty PM"),
        ("9:05 am", "nine oh five AM"),
        ("12:00 PM", "noon"),
        ("10:00 AM or 2:30 PM", "ten AM or two thirty PM"),
        ("from 9 am to 5:30 pm. Then", "from nine AM to five thirty PM. Then"),
        ("at 5 p.m. today", "at five PM today"),
        ("00:05", "twelve oh five AM"),
        ("9:30", "nine thirty"),
        ("12:00", "twelve o'clock"),
        ("25:61", "twenty five:sixty one"),
    ],
)
def test_times(text: str, words: str) -> None:
    assert spoken(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("25%", "twenty five percent"),
        ("3.5 hours", "three point five hours"),
        ("the 21st floor", "the twenty first floor"),
        ("1,200 people", "one thousand two hundred people"),
        ("room 204", "room two hundred four"),
        ("since 2019", "since twenty nineteen"),
        ("3-5 days", "three to five days"),
        ("open 24/7", "open twenty four seven"),
        ("Dr. Hall and Mrs. Bell", "Doctor Hall and Missus Bell"),
        ("tea & cake", "tea and cake"),
        ("**bold** move", "bold move"),
        ("help.desk@example.com", "help dot desk at example dot com"),
        ("www.example.com/book-now", "example dot com slash book dash now"),
    ],
)
def test_other_figures_and_signs(text: str, words: str) -> None:
    assert spoken(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "Which day suits you?",
        "It's fine, thank you. Goodbye.",
        "I'm sorry to hear that.",
        "We march on, come what may.",
        "",
    ],
)
def test_plain_prose_is_left_alone(text: str) -> None:
    assert spoken(text) == text


@given(st.text(max_size=60))
def test_no_digit_survives_and_nothing_raises(text: str) -> None:
    assert not any(char in "0123456789" for char in spoken(text))


def test_helpers_for_single_values() -> None:
    assert spoken_date(date(2026, 5, 1), with_year=False) == "May first"
    assert spoken_time(0, 0) == "midnight"
    assert spoken_digits("12345") == "one two three four five"
    assert spoken_digits("1234567") == "one, two three four, five six seven"
    assert spoken_letters("a-1") == "ay one"
