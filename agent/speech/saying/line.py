"""A line as it is said, while a model still writes it.

Text is passed on as it comes. Only a figure waits, and a word that may begin one or a word whose
pronunciation is set, until what follows shows that it is whole: mostly for a single token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.speech.saying.figure import Said, said
from agent.speech.saying.language import Language
from agent.speech.saying.vocabulary import CODES, HOURS, MONTHS, SCALES, UNITS

_OPENING = frozenset((*MONTHS, *CODES))
"""Words that a figure may follow and belong to."""
_GOING_ON = frozenset(
    (
        *_OPENING, *SCALES, *UNITS, *HOURS, "of", "to", "se", "से", "x", "\u00d7", "=", "%", "/-",
        "-", "\u2013",
    )
)  # fmt: skip
"""Words that may belong to a figure before them."""
_WORD = re.compile(r"\S+")
_FIGURE = re.compile(r"[\d₹$€£]|^[+\-\u2212(]$")
_CODE_BEGUN = re.compile(r"\W?[A-Z]{1,5}$")
_CLOSED = re.compile(r"[.!?;:\u0964][\"')\]]*$")
_JOINED_ON = re.compile(r"(?<=[\w\u0900-\u097f])[-/\u2013].*")
_EDGES = "\"'()[],.;:!?\u0964"
_MARKED = r"[\w\u0900-\u097f]"
_CONTEXT = 60
_MOST_HELD = 80
"""Characters before the last word: numbers without end, `1 2 3 …`, are said as they come."""


class SpokenLine:
    """Takes one utterance's text piece by piece, and gives it back as it is said.

    What comes back, joined as written, is the text.

    Args:
        language: how figures are said; None leaves them as they are.
        words: how written words are said: whole words, whatever their case.
    """

    def __init__(self, language: Language | None, words: dict[str, str]) -> None:
        self._language = language
        self._words = {word.lower(): said for word, said in words.items() if word.strip()}
        self._named = _pattern(self._words)
        self._longest = max(map(len, self._words), default=0)
        self._text = ""
        self._before = ""

    def push(self, text: str) -> list[Said]:
        """Take more text; return what can be said of it by now."""
        self._text += text
        return self._take(self._open_from())

    def flush(self) -> list[Said]:
        """Return what is left: there is no more text."""
        return self._take(len(self._text))

    def _take(self, end: int) -> list[Said]:
        ready, self._text = self._text[:end], self._text[end:]
        if not ready:
            return []
        if self._language is not None:
            self._language.hear(ready)
        pieces = list(self._pieces(ready))
        self._before = (self._before + ready)[-_CONTEXT:]
        return pieces

    def _pieces(self, text: str) -> Iterator[Said]:
        at = 0
        for found in self._named.finditer(text) if self._named is not None else ():
            yield from self._figures(text, at, found.start())
            yield Said(found[0], self._words[found[0].lower()])
            at = found.end()
        yield from self._figures(text, at, len(text))

    def _figures(self, text: str, start: int, end: int) -> Iterator[Said]:
        if start == end:
            return
        tongue = self._language.tongue() if self._language is not None else None
        if tongue is None:
            yield Said(text[start:end])
            return
        yield from said(self._before + text[:end], tongue, len(self._before) + start)

    def _open_from(self) -> int:
        """Return from where on the text may still become something else."""
        starts = [self._name_begun()]
        if self._language is not None:
            starts.append(self._figure_begun())
        return min(starts)

    def _figure_begun(self) -> int:
        text = self._text
        words = list(_WORD.finditer(text))
        start = end = len(text)
        if words and not text[-1].isspace():
            last = words.pop()
            if _FIGURE.search(last[0]) or _CODE_BEGUN.match(last[0]) or _begins(last[0], _OPENING):
                start = last.start()
            elif not _begins(last[0], _GOING_ON):
                return end
            end = last.start()
        # Back to where the figure begins that the words before may belong to.
        for word in reversed(words):
            bare = _bare(word[0])
            if end - word.start() > _MOST_HELD:
                break
            if _CLOSED.search(word[0]) and bare not in _OPENING | HOURS:
                break
            if word[0].endswith(",") and not self._is_in_date(words, word):
                break
            if _FIGURE.search(word[0]) or bare in _OPENING:
                start = word.start()
            elif bare not in _GOING_ON:
                break
        return start

    def _is_in_date(self, words: list[re.Match[str]], word: re.Match[str]) -> bool:
        """Whether a year may follow a word's comma: `May 5, 2026`, `5 May, 2026`."""
        at = words.index(word)
        near = (word, words[at - 1]) if at else (word,)
        return any(each[0].strip(_EDGES).lower() in MONTHS for each in near)

    def _name_begun(self) -> int:
        """Return where a word begins that may become one with a pronunciation of its own."""
        text = self._text
        for start in range(max(0, len(text) - self._longest), len(text)):
            before = text[start - 1 : start] or self._before[-1:]
            if before and re.match(_MARKED, before):
                continue
            tail = text[start:].lower()
            if any(word.startswith(tail) for word in self._words):
                return start
        return len(text)


def _begins(part: str, words: frozenset[str]) -> bool:
    bare = _bare(part)
    return bool(bare) and any(word.startswith(bare) for word in words)


def _bare(word: str) -> str:
    """Return a word without marks, or what is joined on: `lakh` of `lakh/month`."""
    return _JOINED_ON.sub("", word).strip(_EDGES).lower()


def _pattern(words: dict[str, str]) -> re.Pattern[str] | None:
    if not words:
        return None
    names = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    return re.compile(rf"(?<!{_MARKED})(?:{names})(?!{_MARKED})", re.IGNORECASE)
