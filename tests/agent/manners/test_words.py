"""One word of many spellings, and phrases in what was said."""

from __future__ import annotations

import pytest

from agent.manners.words import PhraseBook, folded, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, WORLD!", ["hello", "world"]),
        ("I don\u2019t know", ["i", "don\u2019t", "know"]),
        ("हाँ जी, ठीक है।", ["हाँ", "जी", "ठीक", "है"]),
        ("नंबर 12", ["नंबर", "12"]),
        ("...", []),
    ],
)
def test_words_are_whole_in_every_script(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("haaaan", "haan"),
        ("Okayyy", "okay"),
        ("hmmmm", "hm"),
        ("हाँ", "हां"),
        ("गलत नम्बर", "गलत नम्बर"),
        ("फ़ोन", "फोन"),
        ("don't", "dont"),
        ("haañ", "haan"),
    ],
)
def test_spellings_of_one_word_are_one(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_longest_phrase_is_found_first() -> None:
    book = PhraseBook(["theek hai", "theek", "haan", ""])
    assert book.spans(folded("haan theek hai theek")) == [(0, 1), (1, 3), (3, 4)]
    assert book.leaves(folded("haan theek hai kal")) == ("kal",)
    assert book.spans(folded("theeka")) == []
    assert PhraseBook([]).spans(folded("haan")) == []


def test_words_that_may_become_a_phrase_are_known() -> None:
    book = PhraseBook(["no problem", "by the way"])
    assert book.may_become(folded("no"))
    assert book.may_become(folded("No prob"))
    assert book.may_become(folded("by the"))
    assert not book.may_become(folded("no problem"))
    assert not book.may_become(folded("oh no"))
