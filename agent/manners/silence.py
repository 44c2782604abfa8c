"""What silence leads to: prompts, and in the end the end of the call."""

from __future__ import annotations

from dataclasses import dataclass

from agent.manners.phrasebook import THERE, language_of
from contracts.bot import BotConfig
from contracts.outcome import Reason

WRITTEN_PATIENCE = 4.0
"""So many times longer may a silence be in which somebody reads, and then types."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Say `text` into the silence; `number` counts from 1."""

    text: str
    number: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the call: `NO_RESPONSE` if nobody ever spoke, else `DEAD_AIR`."""

    reason: Reason


class SilencePolicy:
    """Re-engagement, dead air and RNR.

    Silence counts while neither side speaks and nothing is being worked out. After `after_seconds`
    of it comes the next prompt; after the last one the call ends once `dead_air_seconds` (a
    conversation) or `no_response_seconds` (nobody ever spoke) of silence have passed. Whatever the
    caller says starts the prompts anew. All times are `stretched` by a factor.
    """

    def __init__(self, config: BotConfig, stretched: float = 1.0) -> None:
        engagement = config.re_engagement
        usual = [THERE.get(language_of(config), THERE["en"])]
        self._prompts = (list(engagement.messages) or usual) if engagement else []
        self._after_s = stretched * engagement.after_seconds if engagement else 0.0
        self._dead_air_s = stretched * config.dead_air_seconds
        self._no_response_s = stretched * config.no_response_seconds
        self._prompted = 0
        self._silent_since: float | None = None
        self.caller_spoke = False

    def busy(self) -> None:
        """Somebody speaks, or the bot is thinking: no silence."""
        self._silent_since = None

    def heard_caller(self) -> None:
        """The caller said words."""
        self.caller_spoke = True
        self._prompted = 0

    def quiet(self, now: float) -> None:
        """Neither side speaks any more."""
        if self._silent_since is None:
            self._silent_since = now

    def deadline(self) -> float | None:
        """When to call `expire` next, or None while there is no silence."""
        if self._silent_since is None:
            return None
        return self._silent_since + self._limit_s()

    def expire(self, now: float) -> Prompt | GiveUp | None:
        """Return what to do at `now`; None if the silence has not lasted long enough."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return None
        self._silent_since = None
        if self._prompted < len(self._prompts):
            self._prompted += 1
            return Prompt(self._prompts[self._prompted - 1], self._prompted)
        return GiveUp(Reason.DEAD_AIR if self.caller_spoke else Reason.NO_RESPONSE)

    def _limit_s(self) -> float:
        if self._prompted < len(self._prompts):
            return self._after_s
        return self._dead_air_s if self.caller_spoke else self._no_response_s
