"""`voicefleet.deliveries`: what somebody reads who looks for a result that did not arrive."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from voicefleet.deliveries import deliveries_table, print_delivery

DEAD: dict[str, Any] = {
    "delivery_id": "e-1-webhook",
    "call_id": "c-1",
    "bot_id": "desk",
    "kind": "webhook",
    "method": "POST",
    "url": "https://crm.example/results",
    "destination": "https://crm.example",
    "state": "dead",
    "created_at": "2026-06-05T10:00:00+00:00",
    "next_attempt_at": None,
    "settled_at": "2026-06-08T13:35:05+00:00",
    "last_error": "status 500",
    "attempts": [
        {
            "attempt": 1,
            "at": "2026-06-05T10:00:00.123+00:00",
            "status_code": 500,
            "error": None,
            "duration_ms": 12.6,
            "response": "[bold]down[/] for maintenance",
        },
        {
            "attempt": 2,
            "at": "2026-06-05T10:00:05+00:00",
            "status_code": None,
            "error": "ConnectError: refused",
            "duration_ms": 1.0,
            "response": "",
        },
    ],
    "body": '{"session_id": "s-1"}',
}


def printed(show: Any, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    show(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_list_has_a_line_for_each() -> None:
    waits = {**DEAD, "delivery_id": "e-2", "state": "pending", "last_error": None}
    waits["next_attempt_at"] = "2026-06-05T12:00:00+00:00"
    heading, first, second = printed(
        lambda console: console.print(deliveries_table([DEAD, waits]))
    ).splitlines()
    assert heading.split()[:3] == ["delivery", "state", "made"]
    assert first.split() == [
        *("e-1-webhook", "dead", "2026-06-05", "10:00:00", "webhook", "desk"),
        *("https://crm.example", "2", "status", "500"),
    ]
    assert "pending until 2026-06-05 12:00:00" in second


def test_id_stays_whole_on_a_narrow_terminal() -> None:
    shown = printed(lambda console: console.print(deliveries_table([DEAD])), width=60)
    assert "e-1-webhook" in shown


def test_one_delivery_shows_attempts_answers_and_body() -> None:
    shown = printed(lambda console: print_delivery(console, DEAD))
    for words in (
        "https://crm.example/results",
        "1        2026-06-05 10:00:00  13  500",
        "[bold]down[/] for maintenance",
        "ConnectError: refused",
    ):
        assert words in shown
    assert json.loads(shown[shown.index("{") :]) == {"session_id": "s-1"}


@pytest.mark.parametrize("body", ["not JSON [bold]", '["a list"]'])
def test_body_of_any_form_is_shown_as_it_is(body: str) -> None:
    shown = printed(lambda console: print_delivery(console, {**DEAD, "body": body}))
    assert shown.rstrip().endswith(body)
