"""Which errors of an engine end a call."""

from __future__ import annotations

import pytest
from livekit.agents import APIConnectionError, APIStatusError, llm, stt

from agent.failure import FailureLog, fatal


def stt_error(cause: Exception) -> stt.STTError:
    return stt.STTError(timestamp=0.0, label="ears", error=cause, recoverable=False)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_refused_account_or_model_ends_the_call(status: int) -> None:
    cause = APIStatusError("no", status_code=status)
    failed = llm.LLMError(timestamp=0.0, label="brain", error=cause, recoverable=False)
    assert fatal(failed, "LLM") == f"LLM answered {status}"


def test_what_may_pass_is_left_to_the_session() -> None:
    assert fatal(stt_error(APIStatusError("busy", status_code=429)), "STT") is None
    assert fatal(stt_error(APIConnectionError("gone")), "STT") is None


def test_stt_that_died_of_something_else_stays_deaf() -> None:
    assert fatal(stt_error(ZeroDivisionError()), "STT") == "ZeroDivisionError"
    assert fatal(None, "STT") is None


def test_third_failure_within_a_minute_is_too_much() -> None:
    failures = FailureLog()
    assert [failures.add(now) for now in (0.0, 10.0, 59.0)] == [False, False, True]


def test_failures_far_apart_are_outlived() -> None:
    failures = FailureLog()
    assert not any(failures.add(now) for now in (0.0, 31.0, 62.0, 93.0))
