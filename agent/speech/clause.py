"""Cuts a stream of text into pieces to synthesise: the first one small, so that the voice
starts early.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CLAUSE_GAP_MS = 120
SENTENCE_GAP_MS = 250
BREATH_GAP_MS = 30

_SENTENCE_END = re.compile(r"[.!?\u2026\u0964\u0965]+[\"')\]\u201d\u2019]*(?=\s)|\n")
_CLAUSE_END = re.compile(r"[,;:\u2014](?=\s)")
_EARLY_END = re.compile(r"(?:^|\s)[^\s\d./:@_\\]*[^\s\d./:@_\\,;!?][,;!?\u2014\u0964]$")
"""A plain word and an end, whatever follows: no number, address or abbreviation goes on there."""
_CONJUNCTION = re.compile(
    r"\s(?=(?:and|but|or|so|because|which|that|then|when|if|with|for|to)\s)", re.IGNORECASE
)
_PREPOSITION = re.compile(
    r"\s(?=(?:in|on|at|of|by|from|into|over|about|after|before|until|while|as)\s)", re.IGNORECASE
)
_SPACE = re.compile(r"\s(?=\S)")
_ABBREVIATIONS = frozenset(
    ("dr", "mr", "mrs", "ms", "st", "prof", "no", "vs", "rs", "a.m", "p.m", "e.g", "i.e", "etc")
)
_MIN_FIRST_WORDS = 3
_MAX_FIRST_WORDS = 8
_MAX_HASTY_WORDS = 12
_MAX_WORDS = 40


@dataclass(frozen=True, slots=True)
class Piece:
    """Text to synthesise at once, as it was written, and the silence that belongs behind it."""

    text: str
    gap_ms: int


class ClauseSplitter:
    """Takes text as it comes and gives pieces back; joined they are exactly the text.

    The first piece ends at the first clause that has some words, or at a conjunction if none comes
    soon; it is a whole sentence where a short one is already there, which sounds better. Later
    pieces are sentences: while the first plays there is time.
    """

    def __init__(self, *, min_first_words: int = _MIN_FIRST_WORDS, is_hasty: bool = False) -> None:
        """
        Args:
            min_first_words: how long a first clause is at least.
            is_hasty: whether the first piece may go before what follows its comma is known, and
                between any two words once there are many: for a voice whose delay starts only when
                it gets its text.
        """
        self._min_first_words = min_first_words
        self._is_hasty = is_hasty
        self._text = ""
        self._first = True

    def push(self, text: str) -> list[Piece]:
        """Take more text; return the pieces that are now complete."""
        self._text += text
        pieces = []
        while piece := self._next():
            pieces.append(piece)
        return pieces

    def flush(self) -> list[Piece]:
        """Return what is left: there is no more text."""
        # A space shows the end rules that nothing follows.
        pieces = self.push(" ")
        pieces = [*pieces, Piece(self._text, SENTENCE_GAP_MS)] if self._text else pieces
        self._text, self._first = "", True
        pieces = _without_last_space(pieces)
        return [piece for piece in pieces if piece.text.strip()]

    def _next(self) -> Piece | None:
        cut = self._cut()
        if cut is None:
            return None
        end, gap_ms = cut
        # The space behind belongs to the piece, so that pieces can be joined.
        while end < len(self._text) and self._text[end].isspace():
            end += 1
        piece = Piece(self._text[:end], gap_ms)
        self._text = self._text[end:]
        self._first = False
        return piece

    def _cut(self) -> tuple[int, int] | None:
        sentence = self._sentence_end()
        if not self._first:
            if sentence is not None:
                return sentence, SENTENCE_GAP_MS
            return self._clause_end(_MAX_WORDS)
        if sentence is not None and _count(self._text[:sentence]) <= _MAX_FIRST_WORDS:
            return sentence, SENTENCE_GAP_MS
        clause = self._clause_end(self._min_first_words)
        if clause is not None and (sentence is None or clause[0] < sentence):
            return clause
        if sentence is None and (early := self._early_end()) is not None:
            return early, CLAUSE_GAP_MS
        breath = self._breath()
        if breath is not None and (sentence is None or breath < sentence):
            return breath, BREATH_GAP_MS
        return (sentence, SENTENCE_GAP_MS) if sentence is not None else None

    def _sentence_end(self) -> int | None:
        for match in _SENTENCE_END.finditer(self._text):
            before = self._text[: match.start()].rpartition(" ")[2].lower().lstrip("(\"'")
            if match[0].startswith(".") and (before in _ABBREVIATIONS or _is_initial(before)):
                continue
            if self._text[: match.end()].strip():
                return match.end()
        return None

    def _clause_end(self, min_words: int) -> tuple[int, int] | None:
        for match in _CLAUSE_END.finditer(self._text):
            if _count(self._text[: match.end()]) >= min_words:
                return match.end(), CLAUSE_GAP_MS
        return None

    def _early_end(self) -> int | None:
        match = _EARLY_END.search(self._text) if self._is_hasty else None
        if match is None or _count(self._text) < self._min_first_words:
            return None
        return match.end()

    def _breath(self) -> int | None:
        """Return where a long first clause without punctuation may be cut: before a conjunction."""
        words = _count(self._text)
        if self._is_hasty and words > _MAX_FIRST_WORDS:
            for ends in (self._ends(_CONJUNCTION), self._ends(_PREPOSITION)):
                if ends:
                    return ends[-1]
            if words > _MAX_HASTY_WORDS:
                return next(iter(reversed(self._ends(_SPACE))), None)
        if words <= _MAX_FIRST_WORDS + _MIN_FIRST_WORDS:
            return None
        return next(iter(reversed(self._ends(_CONJUNCTION))), None)

    def _ends(self, pattern: re.Pattern[str]) -> list[int]:
        """Return the places between words where a first piece would be neither short nor long."""
        return [
            match.end()
            for match in pattern.finditer(self._text)
            if _MIN_FIRST_WORDS < _count(self._text[: match.end()]) <= _MAX_FIRST_WORDS
            and not _is_bound(self._text, match.end())
        ]


def _count(text: str) -> int:
    return len(text.split())


def _is_bound(text: str, end: int) -> bool:
    """Whether the words around `end` belong together: a number's groups, a title and its name."""
    before = text[:end].split()[-1].lower()
    after = text[end:].split(maxsplit=1)[0]
    return (
        before.rstrip(".").lstrip("(") in _ABBREVIATIONS
        or any(char.isdigit() for char in before)
        or any(char.isdigit() for char in after)
    )


def _is_initial(word: str) -> bool:
    return len(word) == 1 and word.isalpha() and word != "i"


def _without_last_space(pieces: list[Piece]) -> list[Piece]:
    """Take back the space that `flush` added."""
    if not pieces:
        return pieces
    *rest, last = pieces
    return [*rest, Piece(last.text[:-1], last.gap_ms)]
