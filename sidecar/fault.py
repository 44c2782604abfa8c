"""What is wrong with a field, as `details.errors` of a refusal tells it: place, words, kind."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from sidecar.denial import Code, Denied

_LEAD = "Value error, "
_OF_KEY = "[key]"
"""How models say that not the value under a key is wrong, but the key."""


def fault(field: str, message: str, kind: str = "value_error") -> dict[str, Any]:
    """Return one fault.

    Args:
        field: `tools.0.url`; numbers are places in lists.
        message: what is wrong with it, without the value.
        kind: for clients that tell faults apart.
    """
    loc = [int(part) if part.isdecimal() else part for part in field.split(".")]
    return {"type": kind, "loc": loc, "msg": message.removeprefix(_LEAD)}


def faults_of(error: ValidationError) -> list[dict[str, Any]]:
    """Return every fault that a model has found, without what it was given: that may be secret."""
    return [
        {
            "type": each["type"],
            "loc": [part for part in each["loc"] if part != _OF_KEY],
            "msg": each["msg"].removeprefix(_LEAD),
        }
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def unfit(field: str, message: str) -> Denied:
    """Return the refusal of a body or a parameter for one field."""
    errors = [fault(field, message)]
    return Denied(Code.BODY_INVALID, f"{field}: {message}", details={"errors": errors})
