"""Which words are the last of a call."""

from __future__ import annotations

import re

from agent.manners import phrasebook
from agent.manners.words import PhraseBook, after, folded
from contracts.manners import Closure

_POLITE = PhraseBook((*phrasebook.LISTENING, *phrasebook.COURTESIES, *phrasebook.ADDRESSES))
_PARTING = _POLITE | PhraseBook(phrasebook.PARTING)
_BOTS = PhraseBook(phrasebook.BOT_GOODBYES)
_CALLERS = PhraseBook(phrasebook.CALLER_GOODBYES)
_MENTIONS = PhraseBook(phrasebook.MENTIONS)
_NONE = PhraseBook(())
_NAMED = re.compile(
    r"[\s,]+(?P<title>(?:mr|mrs|ms|miss|dr|shri|smt|श्री|श्रीमती)\.?\s+)?"
    r"(?P<name>[^\s,.!\u0964]+(?:\s[^\s,.!\u0964]+)??)(?P<ji>\s+(?:ji|sir|madam|जी))?[\s.!\u0964]*$",
    re.IGNORECASE,
)
"""Whom a goodbye is for: ", Asha!", " Mr Rao."."""


class Closing:
    """Knows goodbyes when it hears them, as far as the bot wants that."""

    def __init__(self, closure: Closure) -> None:
        self._bots = _BOTS.beside(closure.bot_phrases) if closure.bot_enabled else _NONE
        own = closure.caller_phrases
        self._callers = _CALLERS.beside(own) if closure.caller_enabled else _NONE

    def is_bots_last(self, line: str) -> bool:
        """Return whether a line of the bot's ends with a goodbye to somebody, and asks nothing."""
        said = folded(line)
        spans = self._bots.spans(said)
        if not spans or "?" in line:
            return False
        start, end = spans[-1]
        # "Before we say goodbye" is none.
        if _MENTIONS.spans(said[max(0, start - 1) : start]):
            return False
        return not _POLITE.leaves(said[end:]) or _is_name(after(line, end))

    def is_callers_last(self, turn: str) -> bool:
        """Return whether a turn of the caller's is a goodbye and courtesies, and nothing else."""
        said = folded(turn)
        is_goodbye = bool(self._callers.spans(said)) and "?" not in turn
        return is_goodbye and not _PARTING.leaves(self._callers.leaves(said))


def _is_name(rest: str) -> bool:
    named = _NAMED.match(rest)
    if named is None:
        return False
    is_told = bool(named["title"] or named["ji"])
    return is_told or all(word[0].isupper() for word in named["name"].split())
