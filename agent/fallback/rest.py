"""Which of a line's words a voice has said when it breaks off, and how long it may take. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from livekit.agents.types import TimedString

_WORD = re.compile(r"\s*\S+")
_CHARACTERS_PER_S = 14.0
"""How fast a voice speaks that tells no times; rather a word twice than one lost."""
_TOLERANCE_S = 0.08
"""A word whose last 80 ms are missing was understood."""


def said_by(words: Sequence[TimedString], made_s: float) -> int:
    """Return how many of the timed pieces were said whole in so much audio."""
    count = 0
    for word in words:
        ended_s = word.end_time
        if isinstance(ended_s, float | int) and ended_s > made_s + _TOLERANCE_S:
            break
        count += 1
    return count


def end_of(said: str, text: str) -> int:
    """Return where in `text` the words of `said` end, which a voice may spell in its own way.

    A number may be many words to it. What it spells otherwise at the very end is said again: better
    a word twice than one lost.
    """
    spoken = [_plain(word) for word in said.split() if _is_word(word)]
    if not spoken:
        return 0
    written = [found for found in _WORD.finditer(text) if _is_word(found.group())]
    words = [_plain(found.group()) for found in written]
    same = SequenceMatcher(None, words, spoken, autojunk=False).get_matching_blocks()[:-1]
    # Spelt out, words become more; whatever is further on in the text is another of that name.
    ends = [block.a + block.size for block in same if block.a <= block.b]
    count = ends[-1] if ends else len(spoken)
    return written[count].start() if count < len(written) else len(text)


def share_of(text: str, made_s: float) -> int:
    """Return where in `text` a voice is after so much audio, at the beginning of a word."""
    reached = made_s * _CHARACTERS_PER_S
    end = 0
    for found in _WORD.finditer(text):
        if found.end() > reached:
            break
        end = found.end()
    return end


def is_sayable(text: str) -> bool:
    """Return whether there is anything in it that makes a sound."""
    return any(char.isalnum() for char in text)


def is_latin(text: str) -> bool:
    """Return whether most of its letters are, so that an English voice makes words of it."""
    letters = [char for char in text if char.isalpha()]
    return bool(letters) and 2 * sum(char < "\u0250" for char in letters) > len(letters)


class Pace:
    """How much silence a voice owes in a line; `now` is monotonic seconds.

    Audio is played as it comes, so whatever is made late is silence to the caller: before the first
    sound, and wherever playback has to wait for more.
    """

    def __init__(self) -> None:
        self._plays_until: float | None = None
        self._owed_s = 0.0

    def begin(self, now: float) -> None:
        """The voice has text to say."""
        if self._plays_until is None:
            self._plays_until = now

    def excuse(self, now: float) -> None:
        """Nobody has given it more to say: the silence so far is not the voice's."""
        if self._plays_until is not None:
            self._plays_until = max(self._plays_until, now)

    def made(self, now: float, duration_s: float) -> None:
        """Audio came."""
        self._owed_s = self.owed_s(now)
        begun = now if self._plays_until is None else max(now, self._plays_until)
        self._plays_until = begun + duration_s

    def owed_s(self, now: float) -> float:
        """Return how long the caller has waited for the voice by now."""
        since = now if self._plays_until is None else self._plays_until
        return self._owed_s + max(0.0, now - since)


def _plain(word: str) -> str:
    return "".join(char for char in word.casefold() if char.isalnum())


def _is_word(word: str) -> bool:
    return any(char.isalnum() for char in word)
