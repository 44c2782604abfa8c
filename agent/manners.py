"""How the bot behaves on a phone, as pure policies with `now` passed in (monotonic seconds)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from contracts.bot import BotConfig
from contracts.outcome import Reason

ANSWERING_TAIL_S = 1.2
"""A short word that falls into the last 1.2 s of a question is its answer, not a backchannel."""

WRITTEN_PATIENCE = 4.0
"""So many times longer may a silence be in which somebody reads, and then types."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*", re.UNICODE)


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
        self._prompts = list(engagement.messages) if engagement else []
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


def interrupts(
    text: str, *, min_words: int, line: str, remaining_s: float, intended_phrases: tuple[str, ...]
) -> bool:
    """Return whether words said over the bot cut it off; if not, it goes on as if nothing was said.

    Args:
        text: what the caller said.
        min_words: the bot's `min_words_interruption`.
        line: the line being played.
        remaining_s: how much of the bot's audio was still to be played.
        intended_phrases: short phrases that always interrupt ("stop", "wait", "wrong number").
    """
    spoken = words(text)
    if len(spoken) >= min_words and not LISTENING_NOISES.issuperset(spoken):
        return True
    if line.rstrip().endswith("?") and remaining_s <= ANSWERING_TAIL_S:
        return bool(spoken)
    said = " ".join(spoken)
    return any(re.search(rf"\b{re.escape(phrase)}\b", said) for phrase in intended_phrases)


LISTENING_NOISES = frozenset(
    (
        *("ah", "alright", "cool", "fine", "good", "got", "great", "hm", "hmm", "huh", "it", "mhm"),
        *("mm", "nice", "oh", "ok", "okay", "perfect", "right", "sure", "thank", "thanks", "uh"),
        *("um", "wonderful", "yeah", "yep", "you"),
    )
)
"""However many of these in a row, they say no more than "I am listening" or "thank you"."""

INTENDED_PHRASES = (
    "stop",
    "wait",
    "hold on",
    "hang on",
    "hello",
    "sorry",
    "excuse me",
    "wrong number",
    "already paid",
    "agent",
    "operator",
    "human",
    "goodbye",
    "bye",
    "no",
)
"""Too short for most `min_words_interruption`, and never a mere listener's noise."""

CLOSING_PHRASES = ("wait", "hold on", "hang on", "one more", "stop", "no", "sorry", "actually")
"""The same while the bot says goodbye: a "bye" said into it does not hold it up."""


def words(text: str) -> list[str]:
    """Return the words of `text`, lower case, without punctuation."""
    return [word.lower() for word in _WORD.findall(text)]
