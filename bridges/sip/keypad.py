"""Keys pressed at the far end: one press is one event, however many ways it arrives by."""

from __future__ import annotations

from typing import Literal

SAME_PRESS_S = 1.0
"""Within so long the same key by the other way is the same press: phones that tell both ways send
an INFO when the key goes up, or when it goes down."""
MAX_PRESSES = 500
"""No caller presses more keys; whoever does floods."""

Way = Literal["rtp", "info"]


class Keypad:
    """Tells presses from their echoes.

    Attributes:
        presses: keys pressed so far.
        ignored: what was the same press once more, or beyond all measure.
    """

    def __init__(self) -> None:
        self.presses = 0
        self.ignored = 0
        self._last: tuple[str, Way, float] | None = None

    def press(self, digit: str, way: Way, now: float) -> bool:
        """Take note of a key; return whether it is a new press."""
        is_echo = False
        if self._last is not None:
            last_digit, last_way, at = self._last
            is_echo = digit == last_digit and way != last_way and now - at < SAME_PRESS_S
        if is_echo or self.presses >= MAX_PRESSES:
            self.ignored += 1
            return False
        self.presses += 1
        self._last = (digit, way, now)
        return True
