"""Header fields of a SIP call as template variables."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from contracts.sip_header import MAX_HEADERS, MAX_VALUE_CHARS, header_variables
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
