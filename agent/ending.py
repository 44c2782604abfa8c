"""How a conversation ended, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from contracts.outcome import Reason


@dataclass(frozen=True, slots=True)
class Ending:
    """Why and when the conversation ended; `by_bot` if the phone is still to be hung up."""

    reason: Reason
    at: datetime
    detail: str = ""
    by_bot: bool = True
