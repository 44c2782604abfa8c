"""When a caller who waits for an answer hears a few words instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from contracts.manners import Filler

Doing = Literal["thinking", "speaking", "idle"]


class Waiting:
    """Times fillers; `now` is monotonic seconds.

    The first comes `after_s` into the wait for a turn's answer. Where the bot has said something
    since, a filler or what a tool says beforehand, the next comes `repeat_after_s` after that.

    Args:
        filler: how the bot fills waits.
        usual: what it says where the config names nothing.
    """

    def __init__(self, filler: Filler, usual: Sequence[str]) -> None:
        self._filler = filler
        self._said = 0
        self._said_for_turn = 0
        self._since: float | None = None
        self._is_first = True
        self._is_thinking = False
        self._is_disturbed = False
        self.usual(usual)

    def usual(self, phrases: Sequence[str]) -> None:
        """Take other words where the config names none: the bot speaks another language."""
        self._phrases = list(self._filler.phrases or phrases)

    def take_up(self, since: float) -> None:
        """A turn of the caller's is taken up, who has waited since."""
        self._since = since
        self._is_first = True
        self._said_for_turn = 0

    def thinks(self, now: float) -> None:
        """The bot works an answer out, or a tool is at work."""
        if not self._is_thinking and not self._is_first:
            self._since = now
        self._is_thinking = True

    def speaks(self) -> None:
        """The bot says something."""
        self._is_thinking = self._is_first = False

    def rests(self) -> None:
        """The bot has answered."""
        self._is_thinking = False
        self._since = None

    def disturb(self, is_disturbed: bool, now: float) -> None:
        """The caller speaks; or that is over, and the wait begins anew."""
        if self._is_disturbed and not is_disturbed:
            self.restart(now)
        self._is_disturbed = is_disturbed

    def restart(self, now: float) -> None:
        """Let the wait count from here."""
        if self._since is not None:
            self._since = now

    def deadline(self) -> float | None:
        """When to call `expire` next; None while nobody waits."""
        if self._since is None or not self._is_thinking or self._is_disturbed:
            return None
        if not self._filler.enabled or not self._phrases:
            return None
        if self._said_for_turn >= self._filler.at_most:
            return None
        after_s = self._filler.after_s if self._is_first else self._filler.repeat_after_s
        return self._since + after_s

    def expire(self, now: float) -> str | None:
        """Return what to say at `now`, if it is time."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return None
        phrase = self._phrases[self._said % len(self._phrases)]
        self._said += 1
        self._said_for_turn += 1
        self._is_first = False
        self._since = now
        return phrase
