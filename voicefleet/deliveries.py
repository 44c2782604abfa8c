"""Deliveries as a person reads them: a line each in a list, or one with every attempt and body."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from voicefleet.show import moment, print_result, table

_STATE_STYLES = {"delivered": "green", "pending": "yellow", "parked": "red", "dead": "red"}
_FACTS = ("call_id", "bot_id", "kind", "method", "url", "created_at", "settled_at", "last_error")


def deliveries_table(deliveries: Iterable[Mapping[str, Any]]) -> Table:
    """Return a line for each delivery."""
    shown = table("delivery", "state", "made", "kind", "bot", "destination", "tried", "last error")
    for each in deliveries:
        shown.add_row(
            each["delivery_id"],
            _state(each),
            moment(each["created_at"]),
            each["kind"],
            Text(each["bot_id"]),
            Text(each["destination"]),
            str(len(each["attempts"])),
            Text(each["last_error"] or ""),
        )
    return shown


def print_delivery(console: Console, delivery: Mapping[str, Any]) -> None:
    """Print one delivery: what it is, what each attempt came to, and what is sent."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_row("delivery", Text(delivery["delivery_id"], overflow="fold"))
    facts.add_row("state", _state(delivery))
    for name in _FACTS:
        if delivery[name] is not None:
            facts.add_row(name.removesuffix("_id"), Text(str(delivery[name]), overflow="fold"))
    console.print(facts)
    console.print(_attempts(delivery["attempts"]))
    _print_body(console, delivery["body"])


def _attempts(attempts: Iterable[Mapping[str, Any]]) -> Table:
    shown = table("attempt", "at", "ms", "came to", "answered")
    for each in attempts:
        shown.add_row(
            str(each["attempt"]),
            moment(each["at"]),
            f"{each['duration_ms']:.0f}",
            Text(str(each["status_code"] or each["error"])),
            Text(each["response"]),
        )
    return shown


def _print_body(console: Console, body: str) -> None:
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        print_result(console, parsed)
    else:
        console.print(body, markup=False, highlight=False, soft_wrap=True)


def _state(delivery: Mapping[str, Any]) -> Text:
    state = str(delivery["state"])
    waits = delivery["next_attempt_at"]
    until = f" until {moment(waits)}" if waits else ""
    return Text(f"{state}{until}", style=_STATE_STYLES.get(state, ""))
