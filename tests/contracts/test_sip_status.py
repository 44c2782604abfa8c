"""The words for how a placed call came out."""

from __future__ import annotations

import pytest

from contracts.outcome import Reason, sip_outcome
from contracts.sip_status import call_status, status_text


@pytest.mark.parametrize(
    ("code", "status", "text"),
    [
        (486, "busy", "Busy Here"),
        (600, "busy", "Busy Everywhere"),
        (408, "no_answer", "Request Timeout"),
        (480, "no_answer", "Temporarily Unavailable"),
        (403, "rejected", "Forbidden"),
        (603, "rejected", "Decline"),
        (404, "unreachable", "Not Found"),
        (410, "unreachable", "Gone"),
        (484, "unreachable", "Address Incomplete"),
        (604, "unreachable", "Does Not Exist Anywhere"),
        (503, "failed", "Service Unavailable"),
        (799, "failed", ""),
    ],
)
def test_status_of_a_final_answer(code: int, status: str, text: str) -> None:
    reason = sip_outcome(code).reason
    assert call_status(reason, code, answered=False) == status
    assert status_text(reason, code) == text


@pytest.mark.parametrize(
    ("reason", "code", "status", "text"),
    [
        (Reason.CARRIER_UNREACHABLE, None, "timeout", "SIP timeout"),
        (Reason.NO_ANSWER, None, "no_answer", ""),
        (Reason.NO_ANSWER, 487, "no_answer", "Request Terminated"),
        (Reason.DIAL_ABORTED, 487, "cancelled", "Request Terminated"),
        (Reason.DIAL_LOST, None, "failed", ""),
        (Reason.AGENT_LOST, None, "failed", ""),
    ],
)
def test_status_without_an_answer(reason: Reason, code: int | None, status: str, text: str) -> None:
    assert call_status(reason, code, answered=False) == status
    assert status_text(reason, code) == text


def test_answered_call_is_completed_unless_it_stayed_mute() -> None:
    assert call_status(Reason.CALLER_HUNG_UP, 200, answered=True) == "completed"
    assert call_status(Reason.NO_MEDIA, None, answered=True) == "failed"
