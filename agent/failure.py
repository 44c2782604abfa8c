"""Which failures of an engine a call cannot outlive, and how many of the others."""

from __future__ import annotations

from livekit.agents import APIError, APIStatusError, stt

_HOPELESS = (401, 402, 403, 404)
"""What a vendor answers to a wrong key, an unpaid bill or an unknown model: it will stay so."""
_MOST = 3
_WINDOW_S = 60.0


def fatal(error: object, source: str) -> str | None:
    """Return why a session's error ends the call, or None.

    Args:
        error: what the session's `error` event carries.
        source: the engine's name, for the words that are returned.
    """
    cause = getattr(error, "error", None)
    if isinstance(cause, APIStatusError):
        return f"{source} answered {cause.status_code}" if cause.status_code in _HOPELESS else None
    if isinstance(error, stt.STTError) and not isinstance(cause, APIError):
        # The session starts a lost stream anew after an `APIError` alone; else it stays deaf.
        return type(cause).__name__
    return None


class FailureLog:
    """Counts failures that nothing could mend; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._times: list[float] = []

    def add(self, now: float) -> bool:
        """Take note of one; return whether there were too many in a short time."""
        self._times = [at for at in self._times if now - at < _WINDOW_S]
        self._times.append(now)
        return len(self._times) >= _MOST
