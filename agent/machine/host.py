"""The conversation, as the detection sees it."""

from __future__ import annotations

from typing import Protocol

from contracts.outcome import Reason


class Host(Protocol):
    """What the conversation does for it."""

    def end(self, reason: Reason, detail: str = "") -> None:
        """End the conversation."""

    def greeted(self, text: str) -> None:
        """Somebody said this before the opening."""
