"""Hold: the truth at once, told twice a second at most, however often the far end wavers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

APART_S = 0.5
"""No person holds and resumes faster; a storm of re-INVITEs is told as what it comes to."""


class Holds:
    """Whether the far end holds the line, and who is to know.

    Args:
        tell: told of a change: whether the line is held now.

    Attributes:
        is_held: the truth.
        count: how many holds were told.
    """

    def __init__(self, tell: Callable[[bool], None]) -> None:
        self.is_held = False
        self.count = 0
        self._tell = tell
        self._told = False
        self._timer: asyncio.TimerHandle | None = None

    def note(self, is_held: bool) -> None:
        """Take note of what the far end wants now."""
        self.is_held = is_held
        if self._timer is None:
            self._catch_up()

    def close(self) -> None:
        """Tell nothing more."""
        if self._timer is not None:
            self._timer.cancel()

    def _catch_up(self) -> None:
        self._timer = None
        if self.is_held is self._told:
            return
        self._told = self.is_held
        self.count += self._told
        self._timer = asyncio.get_running_loop().call_later(APART_S, self._catch_up)
        self._tell(self._told)
