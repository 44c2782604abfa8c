"""`contracts.outcome`: every reason has one ending, and it speaks one of ten words."""

from __future__ import annotations

import pytest

from contracts.outcome import OUTCOMES, Blame, Reason, outcome, sip_outcome

WORDS = {
    "bot",
    "customer",
    "voicemail",
    "RNR",
    "outside_hours",
    "timeout",
    "error",
    "transfer_to_agent",
    "no_answer",
    "rejected",
}


def test_table_has_every_reason() -> None:
    assert set(OUTCOMES) == set(Reason)
    assert all(OUTCOMES[reason].reason is reason for reason in Reason)


def test_table_speaks_exactly_the_ten_words() -> None:
    assert {each.disconnected_by for each in OUTCOMES.values()} == WORDS


def test_every_blame_is_used() -> None:
    assert {each.blame for each in OUTCOMES.values()} == set(Blame)


def test_value_is_the_metric_label() -> None:
    assert all(reason.value == reason.name.lower() for reason in Reason)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (Reason.BOT_ENDED, "bot"),
        (Reason.DEAD_AIR, "bot"),
        (Reason.TRANSFERRED, "bot"),
        (Reason.CALLER_HUNG_UP, "customer"),
        (Reason.CALLER_DISCONNECTED, "customer"),
        (Reason.VOICEMAIL, "voicemail"),
        (Reason.NO_RESPONSE, "RNR"),
        (Reason.MAX_DURATION, "timeout"),
        (Reason.OUTSIDE_HOURS, "outside_hours"),
        (Reason.AGENT_DESK, "transfer_to_agent"),
        (Reason.NO_ANSWER, "no_answer"),
        (Reason.BUSY, "rejected"),
        (Reason.DECLINED, "rejected"),
    ],
)
def test_word_for_a_known_ending(reason: Reason, word: str) -> None:
    assert outcome(reason).disconnected_by == word


def test_every_other_ending_is_an_error() -> None:
    errors = {each.reason for each in OUTCOMES.values() if each.disconnected_by == "error"}
    assert Reason.AGENT_LOST in errors
    assert len(errors) == len(Reason) - 13


def test_redialling_is_safe_only_before_anybody_was_reached() -> None:
    retryable = {each.reason for each in OUTCOMES.values() if each.retryable}
    assert retryable == {
        Reason.OUTSIDE_HOURS,
        Reason.CLOSED_TO_VISITORS,
        Reason.CONFIG_UNAVAILABLE,
        Reason.AT_CAPACITY,
        Reason.NO_AGENT,
        Reason.CARRIER_REFUSED,
    }


@pytest.mark.parametrize(
    ("status_code", "reason"),
    [
        (408, Reason.NO_ANSWER),
        (480, Reason.NO_ANSWER),
        (486, Reason.BUSY),
        (600, Reason.BUSY),
        (603, Reason.DECLINED),
        (404, Reason.CALLEE_UNKNOWN),
        (410, Reason.CALLEE_UNKNOWN),
        (484, Reason.CALLEE_UNKNOWN),
        (604, Reason.CALLEE_UNKNOWN),
        (403, Reason.CARRIER_REFUSED),
        (503, Reason.CARRIER_REFUSED),
        (0, Reason.CARRIER_REFUSED),
    ],
)
def test_sip_response_becomes_an_ending(status_code: int, reason: Reason) -> None:
    assert sip_outcome(status_code) is OUTCOMES[reason]
