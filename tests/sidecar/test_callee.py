"""Whom to call: the contract's spellings, a carrier's formats, and nothing that is not a number."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import callee
from sidecar.callee import NotCallable


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+919876543210", "", "+919876543210"),
        ("919876543210", "", "+919876543210"),
        ("09876543210", "", "09876543210"),
        ("09876543210", "IN", "09876543210"),
        ("9876543210", "", "9876543210"),
        ("9876543210", "IN", "+919876543210"),
        ("+91 98765-43210", "", "+919876543210"),
        (" (030) 1234.56 ", "", "030123456"),
        ("00493012345678", "", "+493012345678"),
        ("2015550123", "US", "+12015550123"),
        ("100", "IN", "100"),
        ("701", "", "701"),
        ("demo", "", "demo"),
        ("desk-2.line_1", "", "desk-2.line_1"),
    ],
)
def test_number_has_a_normal_form(text: str, country: str, number: str) -> None:
    assert callee.normal(text, country) == number
    assert callee.normal(number, country) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "+",
        "+0123456789",
        "+1234",
        "+1234567890123456",
        "1234567890123456789",
        "sip:701@pbx.example",
        "701@pbx.example",
        "701;phone-context=x",
        "701\r\nVia: x",
        "701%0d%0a",
        "<701>",
        '"701"',
        "a b",
        "-701x",
        "701-x-",
        "9٣7654321",
        "x" * 64,
        "+49 30 12*34",
    ],
)
def test_what_is_more_than_a_number_is_refused(text: str) -> None:
    with pytest.raises(NotCallable):
        callee.normal(text)


@pytest.mark.parametrize(
    ("number", "format_", "country", "dialled"),
    [
        ("+919876543210", "e164", "", "+919876543210"),
        ("+919876543210", "plain", "", "919876543210"),
        ("+919876543210", "national", "", "09876543210"),
        ("+919876543210", "national", "IN", "09876543210"),
        ("+493012345678", "national", "IN", "00493012345678"),
        ("+12015550123", "national", "US", "2015550123"),
        ("09876543210", "e164", "IN", "09876543210"),
        ("09876543210", "plain", "IN", "919876543210"),
        ("09876543210", "national", "IN", "09876543210"),
        ("09876543210", "plain", "", "09876543210"),
        ("701", "plain", "IN", "701"),
        ("demo", "national", "IN", "demo"),
        ("", "plain", "", ""),
    ],
)
def test_carrier_gets_its_own_form(
    number: str, format_: callee.NumberFormat, country: str, dialled: str
) -> None:
    assert callee.formatted(number, format_, country) == dialled


@given(st.text(max_size=80), st.sampled_from(["", "IN", "DE", "US"]))
def test_whatever_is_written_nothing_passes_but_one_user_part(text: str, country: str) -> None:
    try:
        number = callee.normal(text, country)
    except NotCallable:
        return
    for format_ in ("e164", "plain", "national"):
        dialled = callee.formatted(number, format_, country)
        assert dialled.isascii()
        assert re.fullmatch(r"\+?[A-Za-z0-9._-]+", dialled)
