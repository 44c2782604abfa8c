"""Failures of engines: which a call cannot outlive, how many of the others, and their names."""

from __future__ import annotations

import logging

import aiohttp
from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError, stt

_HOPELESS = (401, 402, 403, 404)
"""What a vendor answers to a wrong key, an unpaid bill or an unknown model: it will stay so."""
_MOST = 3
_WINDOW_S = 60.0
_VENDORS = (APIError, aiohttp.ClientError, ConnectionError, TimeoutError)
"""What comes of a vendor's troubles, and of nobody's mistake here."""
_LOWEST_STATUS, _HIGHEST_STATUS = 400, 599
"""Plug-ins put close codes of WebSockets in the place of an HTTP status, too."""


class Silent(APITimeoutError):
    """An engine took what it was given, and answered nothing in time.

    Attributes:
        what: what was not answered, for the words of an event.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class EnginesLost(APIError):
    """Nobody is left who could hear, think or speak; the message says who failed last, and how."""

    def __init__(self, why: str) -> None:
        super().__init__(why, retryable=False)
        self.why = why


def why_lost(error: BaseException) -> str:
    """Return what ended a call."""
    return error.why if isinstance(error, EnginesLost) else type(error).__name__


def is_hopeless(error: BaseException) -> bool:
    """Return whether a vendor will answer the same to whatever it is asked."""
    return isinstance(error, APIStatusError) and error.status_code in _HOPELESS


def reason_of(error: BaseException) -> str:
    """Return what became of an engine, in words to follow its name."""
    match error:
        case Silent():
            return f"gave {error.what}"
        case APIStatusError() if _LOWEST_STATUS <= error.status_code <= _HIGHEST_STATUS:
            return f"answered {error.status_code}"
        case APITimeoutError() | TimeoutError():
            return "did not answer in time"
        case APIStatusError() | APIConnectionError():
            return "lost the connection"
        case _:
            return f"failed with {type(error).__name__}"


def fatal(error: object, source: str) -> str | None:
    """Return why a session's error ends the call, or None.

    Args:
        error: what the session's `error` event carries.
        source: the engine's name, for the words that are returned.
    """
    cause = getattr(error, "error", None)
    if isinstance(cause, EnginesLost):
        return cause.why
    if isinstance(cause, APIStatusError):
        return f"{source} answered {cause.status_code}" if cause.status_code in _HOPELESS else None
    if isinstance(error, stt.STTError) and not isinstance(cause, APIError):
        # The session starts a lost stream anew after an `APIError` alone; else it stays deaf.
        return type(cause).__name__
    return None


def in_one_line(record: logging.LogRecord) -> bool:
    """Make a record of a vendor's failure a warning without its traceback; let all pass.

    The SDK and its plug-ins log each where it arises, as an error; whatever comes of it is an event
    of the call. What others log, and what somebody's mistake has caused, stays as it is.
    """
    error = record.exc_info[1] if record.exc_info else None
    cause = error.__cause__ if error is not None else None
    is_vendors = isinstance(error, _VENDORS) and isinstance(cause, (*_VENDORS, type(None)))
    if error is not None and is_vendors and record.name.startswith("livekit."):
        record.exc_info = record.exc_text = None
        record.levelno = min(record.levelno, logging.WARNING)
        record.levelname = logging.getLevelName(record.levelno)
        record.error = error.why if isinstance(error, EnginesLost) else reason_of(error)
    return True


class FailureLog:
    """Counts failures that nothing could mend; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._times: list[float] = []

    def add(self, now: float) -> bool:
        """Take note of one; return whether there were too many in a short time."""
        self._times = [at for at in self._times if now - at < _WINDOW_S]
        self._times.append(now)
        return len(self._times) >= _MOST
