"""`contracts.template`: what `{{namespace.field}}` means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.template import (
    RESERVED_KEYS,
    call_variables,
    has_tokens,
    is_set,
    lookup,
    namespaced,
    render,
    render_all,
    sole_token,
    stringify,
    system_variables,
    tokens,
    without_tokens,
)

NOW = datetime(2026, 6, 5, 15, 45, tzinfo=ZoneInfo("Asia/Kolkata"))
VARIABLES = {
    "system.current_date": "05 June 2026",
    "crm.customer_name": "Asha",
    "call.customer_name": "not this",
    "call.callerId": "+911",
    "call.first name": "spaced",
    "result.summary": "hidden",
    "analysis.score": "hidden",
    "qc.score": "hidden",
    "exact": "yes",
    "empty": "",
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hello {{crm.customer_name}}.", "Hello Asha."),
        ("Hello {{ crm.customer_name }}.", "Hello Asha."),
        ("{{customer_name}}", "Asha"),
        ("{{current_date}}", "05 June 2026"),
        ("{{callerId}}", "+911"),
        ("{{call.first name}}", "spaced"),
        ("{{exact}}{{exact}}", "yesyes"),
        ("[{{empty}}]", "[]"),
        ("{{result.summary}}", "hidden"),
        ("{{summary}} {{score}}", "{{summary}} {{score}}"),
        ("{{crm.unknown}} stays", "{{crm.unknown}} stays"),
        ("{{ .broken }} {{}} {single}", "{{ .broken }} {{}} {single}"),
        ("no token", "no token"),
        ("", ""),
    ],
)
def test_template_renders(template: str, text: str) -> None:
    assert render(template, VARIABLES) == text


def test_unresolved_token_vanishes_when_asked() -> None:
    assert render("a{{crm.unknown}}b{{exact}}", VARIABLES, drop_unresolved=True) == "abyes"


def test_values_are_not_rendered_again() -> None:
    assert render("{{crm.a}}", {"crm.a": "{{crm.b}}", "crm.b": "x"}) == "{{crm.b}}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exact", "yes"),
        ("callerId", "+911"),
        ("customer_name", "Asha"),
        ("crm.callerId", None),
        ("score", None),
    ],
)
def test_lookup_goes_exact_then_system_crm_call(name: str, value: str | None) -> None:
    assert lookup(name, VARIABLES) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("text", "text"),
        (True, "true"),
        (3, "3"),
        (1.5, "1.5"),
        ({"a": ["ü"]}, '{"a": ["ü"]}'),
    ],
)
def test_value_becomes_text(value: object, text: str) -> None:
    assert stringify(value) == text


def test_namespaced_prefixes_every_key() -> None:
    assert namespaced("crm", {"a": 1, "b.c": None}) == {"crm.a": "1", "crm.b.c": ""}


def test_call_variables_rank_live_crm_above_mock_above_event_above_defaults() -> None:
    event = {"a": "event", "b": "event", "c": "event", "_mock_crm": {"b": "mock", "c": "mock"}}
    variables = call_variables(
        event, defaults={"a": "default", "d": "default"}, crm={"c": "live"}, now=NOW
    )
    assert {key: variables[f"crm.{key}"] for key in "abcd"} == {
        "a": "event",
        "b": "mock",
        "c": "live",
        "d": "default",
    }
    assert variables["call.b"] == "event"
    assert variables["call.d"] == "default"


def test_reserved_keys_never_become_variables() -> None:
    event = dict.fromkeys(RESERVED_KEYS, "x")
    variables = call_variables(event, defaults={}, crm=None, now=NOW)
    assert set(variables) == set(system_variables(NOW))


def test_system_variables_read_as_people_say_them() -> None:
    assert system_variables(NOW) == {
        "system.current_date": "05 June 2026",
        "system.current_time": "03:45 PM IST",
        "system.current_datetime": "05 June 2026, 03:45 PM IST",
        "system.timezone": "Asia/Kolkata",
    }


@pytest.mark.parametrize(
    ("now", "zone", "clock"),
    [
        (datetime(2026, 6, 5, 0, 5, tzinfo=UTC), "UTC", "12:05 AM UTC"),
        (datetime(2026, 6, 5, 0, 5), "UTC", "12:05 AM"),  # noqa: DTZ001
        (
            datetime(2026, 6, 5, 12, tzinfo=timezone(timedelta(hours=2))),
            "UTC+02:00",
            "12:00 PM UTC+02:00",
        ),
    ],
)
def test_system_variables_name_the_zone(now: datetime, zone: str, clock: str) -> None:
    variables = system_variables(now)
    assert (variables["system.timezone"], variables["system.current_time"]) == (zone, clock)


@given(st.text(max_size=80))
def test_text_without_variables_stays_as_it_is(template: str) -> None:
    assert render(template, {}) == template


@given(st.text(max_size=40), st.text(max_size=40))
def test_only_tokens_change(before: str, after: str) -> None:
    template = f"{before}{{{{crm.x}}}}{after}"
    if "{" not in before + after and "}" not in before + after:
        assert render(template, {"crm.x": "·"}) == f"{before}·{after}"


@pytest.mark.parametrize(
    ("template", "is_personal"),
    [
        ("Hello.", False),
        ("", False),
        ("Hello {{crm.customer_name}}.", True),
        ("Hello {{ nobody knows", True),
    ],
)
def test_text_with_tokens_is_not_everybodys(template: str, is_personal: bool) -> None:
    assert has_tokens(template) is is_personal


def test_every_text_is_rendered_at_any_depth() -> None:
    template = {
        "{{exact}}": "{{crm.customer_name}}",
        "list": ["{{exact}}", {"deep": "[{{nobody}}]"}, 7, None, True],
    }
    assert render_all(template, VARIABLES) == {
        "{{exact}}": "Asha",
        "list": ["yes", {"deep": "[]"}, 7, None, True],
    }


@pytest.mark.parametrize(
    ("value", "on"),
    [(True, True), (1, True), ("true", True), (" YES ", True), ("1", True), (False, False),
     ("false", False), ("0", False), ("", False), (None, False)],
)  # fmt: skip
def test_switches_come_as_text_from_spreadsheets(value: object, on: bool) -> None:
    assert is_set({"_skip_prefetch": value}, "_skip_prefetch") is on
    assert not is_set({}, "_skip_prefetch")


def test_variables_of_a_template_are_found_at_any_depth() -> None:
    value = {
        "{{key}}": "{{ call.a }} and {{b c}}",
        "list": ["{{args.x.y}}", {"deep": "{{b c}}"}, 7],
    }
    assert tokens(value) == {"call.a", "b c", "args.x.y"}
    assert tokens(None) == set()


def test_text_that_is_one_variable_alone_is_told_from_others() -> None:
    assert sole_token(" {{ args.count }} ") == "args.count"
    assert sole_token("{{a}}{{b}}") is sole_token("no {{a}}") is sole_token("") is None


def test_variables_are_replaced_by_something_of_no_meaning() -> None:
    assert without_tokens("https://a/{{args.id}}?x={{y}}", "x") == "https://a/x?x=x"
