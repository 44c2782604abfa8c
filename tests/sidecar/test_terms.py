"""Which words are the same to a search."""

from __future__ import annotations

import pytest

from sidecar.terms import is_prefix, terms, words


@pytest.mark.parametrize(
    "forms",
    [
        "book books booked booking BOOKINGS",
        "company companies",
        "service services",
        "class classes",
        "box boxes",
        "branch branches",
        "plan planned planning plans",
        "hour hours hour's",
        "make making makes",
        "fee fees",
        "café cafe\u0301",
        "1500 1,500 १५०० १,५०० 01500",
        "150000 1,50,000 150,000",
        "किताब किताबें किताबों",
        "लड़का लड़के लड़कों",
        "क़ीमत कीमत",
        "दवाई दवाइयाँ दवाइयों",
        "पॉलिसी पॉलिसियाँ पॉलिसियों",
        "चाँद चांद",
    ],
)
def test_forms_of_a_word_are_one_term(forms: str) -> None:
    assert len({tuple(terms(form)) for form in forms.split()}) == 1


@pytest.mark.parametrize(
    "text",
    ["bus bu", "glass glas", "thing th", "15 150", "कल काल", "दवा दाम", "is this", "red r"],
)
def test_different_words_are_different_terms(text: str) -> None:
    found = [tuple(terms(word)) for word in text.split()]
    assert len(set(found)) == len(found) or found == [(), ()]


def test_words_of_every_question_are_left_out() -> None:
    assert terms("What are your opening hours, please?") == terms("opening hours")
    assert terms("आपके खुलने का समय क्या है?") == terms("खुलने समय")
    assert terms("") == terms("?!— _") == []


def test_hindi_words_keep_their_vowel_signs_together() -> None:
    assert list(words("नमस्ते। दुनिया॥ हिन्दी-भाषा")) == ["नमस्ते", "दुनिया", "हिन्दी", "भाषा"]


def test_numbers_stand_apart_from_letters() -> None:
    assert list(words("10am, B2B, Rs.1,500.50, 24x7")) == [
        "10", "am", "b", "2", "b", "rs", "1500", "50", "24", "x", "7",
    ]  # fmt: skip


def test_terms_are_ascii_whatever_the_script() -> None:
    found = terms("naïve ಕನ್ನಡ தமிழ் 中文 🎉 Straße हिन्दी")
    assert all(term.isascii() and term.isalnum() for term in found)
    assert len(found) == 6


@pytest.mark.parametrize(
    ("word", "expected"),
    [("appoint", True), ("car", False), ("1500", False), ("बीमा", False), ("अपॉइंटमेंट", True)],
)
def test_long_words_stand_for_longer_ones(word: str, expected: bool) -> None:
    [term] = terms(word)
    assert is_prefix(term) is expected
