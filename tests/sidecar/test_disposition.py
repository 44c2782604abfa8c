"""What a call came to by how it ended: the table, overrides, and which calls a model judges."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.outcome import Reason, outcome
from contracts.report import Fact, TranscriptLine
from sidecar.disposition import (
    DEFAULTS,
    Ending,
    automatic,
    condition_of,
    ending_of,
    is_analysed,
)
from tests.fakes.control_plane import START
from tests.sidecar.test_result import row

RNR_TEXT = "Customer picked up but did not respond."


def ending(reason: Reason = Reason.CALLER_HUNG_UP, **changes: Any) -> Ending:
    given: dict[str, Any] = {
        "reason": reason,
        "was_answered": True,
        "duration_s": 60.0,
        "has_customer_message": True,
        **changes,
    }
    return Ending(**given)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.NO_RESPONSE, ("RNR", "RNR", RNR_TEXT)),
        (
            Reason.VOICEMAIL,
            ("IVR", "MAIN_MESSAGE", "Voicemail or automated system detected."),
        ),
        (
            Reason.MAX_DURATION,
            ("Not Connected", "DSCN_PARTIAL", "Call exceeded maximum duration."),
        ),
        (Reason.AGENT_LOST, ("Failed", "fallback", "Call ended due to a system error.")),
        (Reason.CONFIG_INVALID, ("Failed", "fallback", "Call ended due to a system error.")),
    ],
)
@pytest.mark.parametrize("has_customer_message", [True, False])
def test_ending_that_tells_enough_has_its_disposition(
    reason: Reason, expected: tuple[str, str, str], has_customer_message: bool
) -> None:
    found = automatic(ending(reason, has_customer_message=has_customer_message), None)
    keys = ("DISPOSITION", "SUB_DISPOSITION", "CALLING_REMARKS")
    assert found == dict(zip(keys, expected, strict=True))


@pytest.mark.parametrize("reason", list(Reason))
def test_every_error_is_one(reason: Reason) -> None:
    is_error = outcome(reason).disconnected_by == "error"
    assert (condition_of(ending(reason)) == "error") == is_error


@pytest.mark.parametrize(
    "reason", [Reason.CALLER_HUNG_UP, Reason.BOT_ENDED, Reason.TRANSFERRED, Reason.AGENT_DESK]
)
@pytest.mark.parametrize("duration_s", [1.0, 60.0])
def test_customer_who_said_nothing_counts_as_rnr_whoever_hung_up_and_when(
    reason: Reason, duration_s: float
) -> None:
    silent = ending(reason, has_customer_message=False, duration_s=duration_s)
    assert automatic(silent, None) == DEFAULTS["rnr"] == DEFAULTS["no_customer_message"]
    assert automatic(ending(reason, duration_s=duration_s), None) is None


@pytest.mark.parametrize(
    "reason", [Reason.NO_ANSWER, Reason.BUSY, Reason.DECLINED, Reason.OUTSIDE_HOURS]
)
def test_phone_that_was_never_answered_has_no_silent_customer(reason: Reason) -> None:
    missed = ending(reason, was_answered=False, has_customer_message=False, duration_s=0.0)
    assert automatic(missed, None) is None


def test_override_needs_a_disposition_alone() -> None:
    overrides = {
        "voicemail": {"DISPOSITION": "VM"},
        "error": {"DISPOSITION": "ERR", "SUB_DISPOSITION": "", "CODE": 7},
        "timeout": {"SUB_DISPOSITION": "without a disposition"},
        "rnr": "not even an object",
    }
    assert automatic(ending(Reason.VOICEMAIL), overrides) == {
        "DISPOSITION": "VM",
        "SUB_DISPOSITION": "MAIN_MESSAGE",
        "CALLING_REMARKS": "Voicemail or automated system detected.",
    }
    assert automatic(ending(Reason.AGENT_LOST), overrides) == {
        "DISPOSITION": "ERR",
        "SUB_DISPOSITION": "fallback",
        "CALLING_REMARKS": "Call ended due to a system error.",
        "CODE": 7,
    }
    assert automatic(ending(Reason.MAX_DURATION), overrides) == DEFAULTS["timeout"]
    assert automatic(ending(Reason.NO_RESPONSE), overrides) == DEFAULTS["rnr"]


@pytest.mark.parametrize(
    ("reason", "duration_s", "has_customer_message", "expected"),
    [
        (Reason.CALLER_HUNG_UP, 60.0, True, True),
        (Reason.BOT_ENDED, 5.0, True, True),
        (Reason.BOT_ENDED, 4.99, True, False),
        (Reason.BOT_ENDED, 60.0, False, False),
        (Reason.AGENT_DESK, 60.0, True, True),
        (Reason.MAX_DURATION, 600.0, True, True),
        (Reason.MAX_DURATION, 600.0, False, False),
        (Reason.NO_RESPONSE, 60.0, True, True),
        (Reason.NO_RESPONSE, 60.0, False, False),
        (Reason.VOICEMAIL, 60.0, True, False),
        (Reason.PIPELINE_FAILED, 60.0, True, False),
        (Reason.BRIDGE_LOST, 60.0, True, False),
    ],
)
def test_model_judges_calls_in_which_the_customer_spoke_and_nothing_broke(
    reason: Reason, duration_s: float, has_customer_message: bool, expected: bool
) -> None:
    judged = ending(reason, duration_s=duration_s, has_customer_message=has_customer_message)
    assert is_analysed(judged) is expected


def line(speaker: Any, text: str) -> Fact:
    return TranscriptLine(at=START + timedelta(seconds=1), speaker=speaker, text=text)


def test_ending_is_read_from_the_row_and_its_facts() -> None:
    spoken = ending_of(row(), [line("bot", "Hello."), line("customer", "Hi.")])
    assert spoken == Ending(Reason.CALLER_HUNG_UP, True, 61.5, True)
    silent = ending_of(row(answered_at=None), [line("bot", "Hello."), line("customer", "  ")])
    assert silent == Ending(Reason.CALLER_HUNG_UP, False, 0.0, False)
