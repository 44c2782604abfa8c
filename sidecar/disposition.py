"""What a call came to where no language model was asked: by how it ended, pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.outcome import Reason, outcome
from contracts.report import Fact, TranscriptLine
from sidecar.store.calls import CallRow

SHORTEST_S = 5.0
"""A shorter call is not analysed."""

DEFAULTS: dict[str, dict[str, str]] = {
    "rnr": {
        "DISPOSITION": "RNR",
        "SUB_DISPOSITION": "RNR",
        "CALLING_REMARKS": "Customer picked up but did not respond.",
    },
    "voicemail": {
        "DISPOSITION": "IVR",
        "SUB_DISPOSITION": "MAIN_MESSAGE",
        "CALLING_REMARKS": "Voicemail or automated system detected.",
    },
    "timeout": {
        "DISPOSITION": "Not Connected",
        "SUB_DISPOSITION": "DSCN_PARTIAL",
        "CALLING_REMARKS": "Call exceeded maximum duration.",
    },
    "error": {
        "DISPOSITION": "Failed",
        "SUB_DISPOSITION": "fallback",
        "CALLING_REMARKS": "Call ended due to a system error.",
    },
    "no_customer_message": {
        "DISPOSITION": "RNR",
        "SUB_DISPOSITION": "RNR",
        "CALLING_REMARKS": "Customer picked up but did not respond.",
    },
}
"""The conditions that have a disposition of their own, under the names a bot overrides them by."""

_ERRORS = frozenset(reason for reason in Reason if outcome(reason).disconnected_by == "error")
_CONDITIONS = {
    Reason.NO_RESPONSE: "rnr",
    Reason.VOICEMAIL: "voicemail",
    Reason.MAX_DURATION: "timeout",
    **dict.fromkeys(_ERRORS, "error"),
}
_NEVER_ANALYSED = _ERRORS | {Reason.VOICEMAIL}


@dataclass(frozen=True, slots=True)
class Ending:
    """What of an ended call decides.

    Attributes:
        reason: why it ended.
        was_answered: whether anybody picked up.
        duration_s: from the answer to the end.
        has_customer_message: whether the customer said anything that was understood.
    """

    reason: Reason
    was_answered: bool
    duration_s: float
    has_customer_message: bool


def ending_of(row: CallRow, facts: Sequence[Fact]) -> Ending:
    """Return what decides of a call that has ended."""
    return Ending(
        reason=row.end_reason or Reason.ABANDONED,
        was_answered=row.answered_at is not None,
        duration_s=row.call.duration_s,
        has_customer_message=any(
            isinstance(fact, TranscriptLine) and fact.speaker == "customer" and fact.text.strip()
            for fact in facts
        ),
    )


def is_analysed(ending: Ending) -> bool:
    """Return whether there is something for a language model to judge.

    The cap and a silent line are no reason against it where the customer did speak.
    """
    if ending.reason in _NEVER_ANALYSED or ending.duration_s < SHORTEST_S:
        return False
    return ending.has_customer_message


def condition_of(ending: Ending) -> str | None:
    """Return which of the `DEFAULTS` a call meets; None where how it ended does not tell.

    A phone that was never answered has no customer who did not respond.
    """
    condition = _CONDITIONS.get(ending.reason)
    if condition is None and ending.was_answered and not ending.has_customer_message:
        return "no_customer_message"
    return condition


def automatic(ending: Ending, overrides: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the disposition that follows from how the call ended, or None.

    Args:
        ending: how it did.
        overrides: the bot's `auto_dispositions`. One without a `DISPOSITION` counts as none; what
            else it leaves out or empty is taken from the defaults, what it adds is passed on.
    """
    condition = condition_of(ending)
    if condition is None:
        return None
    override = (overrides or {}).get(condition)
    if not isinstance(override, Mapping) or not override.get("DISPOSITION"):
        override = {}
    given = {key: value for key, value in override.items() if value not in (None, "")}
    return {**DEFAULTS[condition], **given}
