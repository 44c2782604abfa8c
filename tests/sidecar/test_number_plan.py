"""Dialled numbers: one normal form each, and which spellings lead to what is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.number_plan import MAX_CHARS, is_country, lookup_keys, normal


@pytest.mark.parametrize(
    "spelt",
    [
        "+919876543210",
        "+91 98765 43210",
        "+91-98765-43210",
        "919876543210",
        "09876543210",
        "9876543210",
        "00919876543210",
        "(0) 98765-43210",
        "sip:+919876543210@192.0.2.7;user=phone",
        "sip:%2B919876543210@192.0.2.7",
        "<sip:09876543210@192.0.2.7>",
        "SIPS:9876543210@192.0.2.7:5061",
        "sip:+919876543210;phone-context=example.com@192.0.2.7",
        "tel:+91-98765-43210",
        " 9876543210 ",
    ],
)
def test_spellings_of_one_number_are_one_number(spelt: str) -> None:
    assert normal(spelt, "IN") == "+919876543210"
    assert lookup_keys(spelt, "IN") == ["+919876543210"]


@pytest.mark.parametrize(
    ("spelt", "form"),
    [
        ("demo", "demo"),
        ("DEMO", "demo"),
        ("sip:Demo@127.0.0.1:5060", "demo"),
        ("sip:demo:secret@127.0.0.1", "demo"),
        ("front-desk.2", "front-desk.2"),
        ("1001", "1001"),
        ("+1001", "+1001"),
        ("0012", "0012"),
        ("4930123456", "+4930123456"),
        ("004930123456", "+4930123456"),
        ("15550100", "15550100"),
        ("08047091234", "+918047091234"),
    ],
)
def test_other_numbers_and_names(spelt: str, form: str) -> None:
    assert normal(spelt, "IN") == form


@pytest.mark.parametrize(
    "text",
    ["", " ", "+", "a b", "-demo", "demo-", "x" * 65, "9" * 19, "%2B91", "sip:@host", "d\r\nX: 1"],
)
def test_what_is_neither_number_nor_name_is_nothing(text: str) -> None:
    assert normal(text, "IN") == ""
    assert lookup_keys(text, "IN") == []


def test_without_a_country_national_numbers_stay_what_they_are() -> None:
    assert normal("09876543210") == "09876543210"
    assert normal("919876543210") == "+919876543210"
    assert normal("9876543210", "US") == "9876543210"


@pytest.mark.parametrize(
    ("kept", "dialled"),
    [
        ("+910005550100", "910005550100"),
        ("+910005550100", "00910005550100"),
        ("+919995550", "09995550"),
        ("+919995550", "9995550"),
        ("15550100", "+15550100"),
        ("+15550100", "15550100"),
        ("1001", "+1001"),
    ],
)
def test_number_that_is_not_in_the_plan_is_found_by_its_spellings(kept: str, dialled: str) -> None:
    assert normal(kept, "IN") in lookup_keys(dialled, "IN")


def test_extension_is_of_no_country() -> None:
    assert lookup_keys("1001", "IN") == ["1001", "+1001"]


def test_countries_are_known_by_their_code() -> None:
    assert is_country("IN")
    assert not is_country("India")
    assert not is_country("")


@given(st.text(max_size=100), st.sampled_from(["", "IN", "DE", "US"]))
def test_any_text_has_a_form_that_can_be_kept_and_keeps_its_form(text: str, country: str) -> None:
    form = normal(text, country)
    assert len(form) <= MAX_CHARS
    assert form == form.lower()
    keys = lookup_keys(text, country)
    assert bool(keys) == bool(form)
    assert form in [*keys, ""]
    # What is kept is found by what is kept.
    assert not form or form in lookup_keys(form, country)
