"""Numbers are compared by their digits, however they are spelt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.number import SEPARATORS, dialable, is_named_in, normalised


@pytest.mark.parametrize(
    "text",
    [
        "+49 30 123456",
        "004930123456",
        "49-30-123456",
        "+49 (30) 123.456",
        "sip:+4930123456@carrier.example:5060",
        "<sip:4930123456@10.0.0.1>;tag=77",
        "SIPS:+4930123456@host",
        "tel:+49-30-123456;phone-context=x",
    ],
)
def test_spellings_of_one_number_are_the_same(text: str) -> None:
    assert normalised(text) == "4930123456"


@pytest.mark.parametrize("text", ["", "anonymous", "user-12", "000", "+", "12a", "sip:anna@host"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert normalised(text) == ""


@given(st.from_regex(r"[1-9][0-9]{5,14}", fullmatch=True), st.data())
def test_separators_and_leading_zeros_change_nothing(digits: str, data: st.DataObject) -> None:
    between = st.lists(st.text(SEPARATORS, max_size=2), min_size=len(digits), max_size=len(digits))
    spelt = "".join(map("".join, zip(data.draw(between), digits, strict=True)))
    assert normalised(f"00{spelt}") == digits


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"from": "+15550100"}, True),
        ({"customer": {"phones": [None, 15550100]}}, True),
        ({"note": "call 15550100 back"}, False),
        ({"from": "15550101", "ok": True, "cost": 1.5}, False),
        ([], False),
    ],
)
def test_number_is_found_as_a_value_at_any_depth(value: Any, named: bool) -> None:
    assert is_named_in(value, "15550100") is named


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+91 44 1234-5678", "+914412345678"),
        ("(044) 12.34.56.78", "04412345678"),
        ("tel:+914412345678", "+914412345678"),
        ("100", "100"),
    ],
)
def test_number_is_dialled_as_it_was_meant(text: str, number: str) -> None:
    assert dialable(text) == number


@pytest.mark.parametrize(
    "text", ["", "12", "+", "desk", "sip:100@pbx", "1" * 19, "+91+44", "12;ext=3", "١٢٣٤"]
)
def test_what_cannot_be_dialled_is_no_number(text: str) -> None:
    assert dialable(text) == ""
