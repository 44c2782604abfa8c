"""Which failures of an engine a call cannot outlive; the others the session tries to mend."""

from __future__ import annotations

from livekit.agents import APIError, APIStatusError, stt

_HOPELESS = (401, 402, 403, 404)
"""What a vendor answers to a wrong key, an unpaid bill or an unknown model: it will stay so."""


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
