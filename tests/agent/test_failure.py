"""Which errors of an engine end a call."""

from __future__ import annotations

import logging

import pytest
from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError, llm, stt

from agent.failure import (
    EnginesLost,
    FailureLog,
    Silent,
    fatal,
    in_one_line,
    is_hopeless,
    reason_of,
)


def stt_error(cause: Exception) -> stt.STTError:
    return stt.STTError(timestamp=0.0, label="ears", error=cause, recoverable=False)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_refused_account_or_model_ends_the_call(status: int) -> None:
    cause = APIStatusError("no", status_code=status)
    failed = llm.LLMError(timestamp=0.0, label="brain", error=cause, recoverable=False)
    assert fatal(failed, "LLM") == f"LLM answered {status}"


def test_call_ends_when_nobody_is_left() -> None:
    lost = EnginesLost("OpenAiLLM answered 500")
    failed = llm.LLMError(timestamp=0.0, label="brain", error=lost, recoverable=False)
    assert fatal(failed, "FallbackLLM") == "OpenAiLLM answered 500"
    assert not lost.retryable


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Silent("no words for 1.5 s"), "gave no words for 1.5 s"),
        (APIStatusError("busy", status_code=429), "answered 429"),
        # The close code of a WebSocket, and none at all.
        (APIStatusError("closed", status_code=1011), "lost the connection"),
        (APIStatusError("closed", status_code=-1), "lost the connection"),
        (APIConnectionError("gone"), "lost the connection"),
        (APITimeoutError(), "did not answer in time"),
        (TimeoutError(), "did not answer in time"),
        (APIError("no audio"), "failed with APIError"),
        (KeyError("audio"), "failed with KeyError"),
    ],
)
def test_failure_is_told_without_the_vendors_own_words(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_refusal_is_hopeless_and_a_rush_is_not() -> None:
    assert is_hopeless(APIStatusError("no", status_code=403))
    assert not is_hopeless(APIStatusError("busy", status_code=429))
    assert not is_hopeless(APIConnectionError("gone"))


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


def logged(error: BaseException, name: str = "livekit.agents") -> logging.LogRecord:
    trace = (type(error), error, None)
    return logging.LogRecord(name, logging.ERROR, __file__, 1, "Error in task", (), trace)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (EnginesLost("OpenAiLLM answered 500"), "OpenAiLLM answered 500"),
        (APIStatusError("busy", status_code=429), "answered 429"),
        (ConnectionResetError(), "failed with ConnectionResetError"),
    ],
)
def test_vendors_failure_is_a_warning_of_one_line(error: Exception, told: str) -> None:
    record = logged(error)
    assert in_one_line(record)
    assert (record.levelname, record.exc_info, record.__dict__["error"]) == ("WARNING", None, told)
    assert record.getMessage() == "Error in task"


def test_mistakes_and_what_nobody_has_dealt_with_keep_their_traceback() -> None:
    wrapped = APIConnectionError("unreadable")
    wrapped.__cause__ = KeyError("words")
    for record in (
        logged(KeyError("words")),
        logged(FileNotFoundError()),
        logged(wrapped, "livekit.plugins.deepgram"),
        logged(EnginesLost("all"), "asyncio"),
    ):
        assert in_one_line(record)
        assert record.exc_info
        assert record.levelname == "ERROR"


def test_records_without_an_exception_pass_as_they_are() -> None:
    record = logging.LogRecord("livekit.agents", logging.ERROR, __file__, 1, "closing", (), None)
    assert in_one_line(record)
    assert record.levelname == "ERROR"
