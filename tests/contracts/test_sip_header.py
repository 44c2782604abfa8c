"""Header fields of a SIP call: as template variables, and which may be added to a request."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from contracts.sip_header import MAX_HEADERS, MAX_VALUE_CHARS, header_variables, may_be_added
from contracts.template import call_variables, render


def test_headers_are_variables_whatever_their_case() -> None:
    assert header_variables({"X-Customer-Id": "7", "x-tier": "gold"}) == {
        "sip_header_x_customer_id": "7",
        "sip_header_x_tier": "gold",
        "sip_headers_json": '{"x-customer-id": "7", "x-tier": "gold"}',
    }


def test_call_without_headers_has_no_variables() -> None:
    assert header_variables({}) == {}


def test_headers_resolve_in_a_prompt() -> None:
    event = header_variables({"X-Customer-Id": "7"})
    now = datetime(2026, 6, 5, tzinfo=UTC)
    variables = call_variables(event, defaults={}, crm=None, now=now)
    assert render("{{call.sip_header_x_customer_id}}", variables) == "7"
    assert render("{{ sip_headers_json }}", variables) == '{"x-customer-id": "7"}'


def test_flood_of_headers_is_cut() -> None:
    headers = {f"x-{number}": "v" * (MAX_VALUE_CHARS + 1) for number in range(MAX_HEADERS + 1)}
    variables = header_variables(headers)
    kept = json.loads(variables["sip_headers_json"])
    assert len(kept) == MAX_HEADERS
    assert {len(value) for value in kept.values()} == {MAX_VALUE_CHARS}
    assert len(variables) == MAX_HEADERS + 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Account", "7"),
        ("P-Asserted-Identity", "<sip:+15550100@carrier.example>"),
        ("x!%*_+`'~.-9", ""),
        ("X-Name", "Zoë, 東京"),
        ("X" * 100, "long"),
    ],
)
def test_header_of_a_carrier_may_be_added(name: str, value: str) -> None:
    assert may_be_added(name, value)


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X-\u00e4", "X-A\r\nVia", "X" * 101])
def test_name_that_is_none_may_not(name: str) -> None:
    assert not may_be_added(name, "7")


@pytest.mark.parametrize(
    "name", ["Via", "v", "cOnTaCt", "Call-ID", "Session-Expires", "x", "User-Agent", "Min-SE"]
)
def test_header_of_sip_itself_may_not(name: str) -> None:
    assert not may_be_added(name, "7")


@pytest.mark.parametrize("value", ["1\r\nVia: evil", "1\n", "\x00", "\x7f", "\u2028"])
def test_value_that_would_begin_another_header_may_not(value: str) -> None:
    assert not may_be_added("X-A", value)
