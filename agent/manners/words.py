"""Words and phrases as recognisers write them, in English, Hindi and Hinglish.

One word has many spellings: "haan", "han" and "हाँ", "okay" and "okayyy". They are folded into one
before anything is looked for, and a phrase is found only where whole words make it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Indic vowel signs and joiners are part of a word, though they are no letters; dandas are not.
_WORD = re.compile(
    r"(?:[^\W_]|[\u0300-\u036f\u0900-\u0963\u0966-\u0dff\u200c\u200d])+"
    r"(?:['\u2019][^\W_]+)*"
)
_LATIN_RUN = re.compile(r"([a-z])\1+")
_SILENT = str.maketrans({"\u0901": "\u0902", "\u093c": None, "\u200c": None, "\u200d": None})
"""A candrabindu is written as an anusvara by many; nuktas and joiners come and go."""

Words = tuple[str, ...]


def words(text: str) -> list[str]:
    """Return the words of `text`, lower case, without punctuation."""
    return [word.lower() for word in _WORD.findall(unicodedata.normalize("NFC", text))]


def folded(text: str) -> Words:
    """Return the words of `text` in the one spelling that phrases are compared in."""
    return tuple(_fold(word) for word in words(text))


def after(text: str, count: int) -> str:
    """Return what follows the first `count` words of `text`, as it is written."""
    plain = unicodedata.normalize("NFC", text)
    return plain[list(_WORD.finditer(plain))[count - 1].end() :]


def _fold(word: str) -> str:
    plain = unicodedata.normalize("NFD", word.replace("\u2019", "'")).translate(_SILENT)
    plain = "".join(char for char in plain if not "\u0300" <= char <= "\u036f")
    return _LATIN_RUN.sub(r"\1", plain.replace("'", ""))


class PhraseBook:
    """Phrases that are looked for in what somebody said.

    To fold hundreds takes milliseconds, which no call has when it begins: the usual ones are folded
    when a module is loaded, and a bot's own come to them by `beside`.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        self._take(frozenset(folded(phrase) for phrase in phrases) - {()})

    def beside(self, phrases: Iterable[str]) -> PhraseBook:
        """Return a book that has these as well."""
        both = PhraseBook(phrases)
        both._take(both._phrases | self._phrases)
        return both

    def __or__(self, other: PhraseBook) -> PhraseBook:
        """Return a book that has what either has."""
        both = PhraseBook(())
        both._take(self._phrases | other._phrases)
        return both

    def spans(self, said: Words) -> list[tuple[int, int]]:
        """Return where phrases are: from the first word to behind the last, the longest first."""
        found: list[tuple[int, int]] = []
        start = 0
        while start < len(said):
            length = self._length_at(said, start)
            if length:
                found.append((start, start + length))
            start += length or 1
        return found

    def leaves(self, said: Words) -> Words:
        """Return the words that belong to no phrase."""
        taken = {at for span in self.spans(said) for at in range(*span)}
        return tuple(word for at, word in enumerate(said) if at not in taken)

    def may_become(self, said: Words) -> bool:
        """Return whether words that somebody is still saying may become a phrase.

        The last of them may be half a word.
        """
        text = " ".join(said)
        texts = (" ".join(phrase) for phrase in self._phrases)
        return any(phrase.startswith(text) and phrase != text for phrase in texts)

    def _take(self, phrases: frozenset[Words]) -> None:
        self._phrases: frozenset[Words] = phrases
        self._longest = max(map(len, phrases), default=0)

    def _length_at(self, said: Words, start: int) -> int:
        for length in range(min(self._longest, len(said) - start), 0, -1):
            if said[start : start + length] in self._phrases:
                return length
        return 0
