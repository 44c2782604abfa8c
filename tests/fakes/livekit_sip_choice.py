"""Which LiveKit SIP tests have: the double, or the real one where a binary is named.

Every test process imports this, and so nothing that takes time.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "LIVEKIT_SIP_BIN"


class NotStarted(AssertionError):
    """It is not to be had, ended, or does not answer; the text has its last words."""


def named_binary() -> Path | None:
    """Return the binary that is to be used; None: tests have the double.

    Raises:
        NotStarted: what the variable names is no program.
    """
    named = os.environ.get(VARIABLE, "")
    if not named:
        return None
    if not os.access(named, os.X_OK) or not Path(named).is_file():
        raise NotStarted(f"{VARIABLE} names {named}, which is no program")
    return Path(named)


def which() -> str:
    """Say what these tests have for a LiveKit SIP."""
    named = os.environ.get(VARIABLE, "")
    return f"the real one, {named}" if named else f"the double ({VARIABLE} names no binary)"
