"""`{{namespace.field}}` resolution, pure: what the family's templates mean.

A flat `{{field}}` is looked up as an exact key, then under `system.`, `crm.`, `call.`; never under
`result.`, `analysis.` or `qc.`. Values are strings; nested ones are JSON. An unresolved token stays
as it is, or becomes "" where the caller says so (CRM push).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_TOKEN = re.compile(r"\{\{\s*([A-Za-z0-9_][A-Za-z0-9_.\- ]*?)\s*\}\}")
_FLAT_NAMESPACES = ("system", "crm", "call")

_YES = frozenset({"1", "true", "yes", "on"})

RESERVED_KEYS = frozenset(
    {
        "_campaign_session_id",
        "_skip_prefetch",
        "_skip_post_push",
        "_mock_crm",
        "_campaign_id",
        "_campaign_call_id",
        "_campaign_attempt",
        "_campaign_run_number",
        "sip_candidate_headers",
    }
)
"""`connected_event` keys that steer the platform and never become variables."""


def render(template: str, variables: Mapping[str, str], *, drop_unresolved: bool = False) -> str:
    """Return `template` with every token replaced that `variables` (by full name) can resolve."""

    def replace(match: re.Match[str]) -> str:
        value = lookup(match[1], variables)
        if value is None:
            return "" if drop_unresolved else match[0]
        return value

    return _TOKEN.sub(replace, template)


def render_all(value: Any, variables: Mapping[str, str]) -> Any:
    """Return `value` with every text in it rendered, at any depth; what is unresolved is "".

    Keys, numbers, booleans and null stay as they are.
    """
    if isinstance(value, str):
        return render(value, variables, drop_unresolved=True)
    if isinstance(value, Mapping):
        return {key: render_all(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [render_all(item, variables) for item in value]
    return value


def has_tokens(template: str) -> bool:
    """Return whether a text is not the same for everybody, or was meant not to be."""
    return "{{" in template


def tokens(value: Any) -> set[str]:
    """Return the names of all variables in the texts of `value`, at any depth."""
    if isinstance(value, str):
        return set(_TOKEN.findall(value))
    if isinstance(value, Mapping):
        return tokens(list(value.values()))
    if isinstance(value, list):
        return {name for item in value for name in tokens(item)}
    return set()


def sole_token(text: str) -> str | None:
    """Return the name of the variable that a text is, with nothing beside it; else None."""
    match = _TOKEN.fullmatch(text.strip())
    return match[1] if match else None


def without_tokens(text: str, instead: str) -> str:
    """Return a text with something of no meaning in the place of its variables."""
    return _TOKEN.sub(instead, text)


def lookup(name: str, variables: Mapping[str, str]) -> str | None:
    """Return the variable a token names, or None."""
    if name in variables:
        return variables[name]
    if "." not in name:
        for namespace in _FLAT_NAMESPACES:
            value = variables.get(f"{namespace}.{name}")
            if value is not None:
                return value
    return None


def stringify(value: Any) -> str:
    """Return a value as templates show it: text as it is, null as "", the rest as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def namespaced(namespace: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return `values` as variables of one namespace."""
    return {f"{namespace}.{key}": stringify(value) for key, value in values.items()}


def call_variables(
    connected_event: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any],
    crm: Mapping[str, Any] | None,
    now: datetime,
    leg: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return every variable known when a call starts, by full name.

    Args:
        connected_event: what the door brought; reserved keys are left out, except that
            `_mock_crm` feeds `crm.*`.
        defaults: the bot's own `variables`, below everything else.
        crm: a live pre-fetch's answer, above everything else.
        now: the call's start in the bot's time zone.
        leg: what the door knows of the phone's leg (`caller_id`, `did` …), as `call.*` below what
            the event says.
    """
    plain = {key: value for key, value in connected_event.items() if key not in RESERVED_KEYS}
    mock = connected_event.get("_mock_crm")
    return {
        **system_variables(now),
        **namespaced("call", {**defaults, **(leg or {}), **plain}),
        **namespaced("crm", defaults),
        **namespaced("crm", plain),
        **namespaced("crm", mock if isinstance(mock, Mapping) else {}),
        **namespaced("crm", crm or {}),
    }


def is_set(connected_event: Mapping[str, Any], key: str) -> bool:
    """Return whether a reserved switch (`_skip_prefetch` …) is on; spreadsheets send text."""
    value = connected_event.get(key)
    return value.strip().lower() in _YES if isinstance(value, str) else bool(value)


def system_variables(now: datetime) -> dict[str, str]:
    """Return `system.*` for a moment in the bot's time zone (`05 June 2026`, `03:45 PM IST`)."""
    date, clock = now.strftime("%d %B %Y"), now.strftime("%I:%M %p %Z").strip()
    return {
        "system.current_date": date,
        "system.current_time": clock,
        "system.current_datetime": f"{date}, {clock}",
        "system.timezone": str(now.tzinfo) if now.tzinfo is not None else "UTC",
    }
