"""How callers' words are compared with written phrases."""

from __future__ import annotations

import pytest

from agent.speech.phrase import (
    best,
    contains,
    is_question,
    likeness,
    match_phrase,
    matches_any,
    normal,
    stem,
)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("I'd take that, please!", "i would take that please"),
        ("Um, it's uh... Tuesday.", "it is tuesday"),
        ("I can't; won't. Don't!", "i can not will not do not"),
        ("Good-bye.", "good bye"),
        ("Hmm.", "hmm"),
        ("", ""),
    ],
)
def test_normal_form(text: str, plain: str) -> None:
    assert normal(text) == plain


@pytest.mark.parametrize(
    ("word", "stemmed"), [("parking", "park"), ("cleanings", "clean"), ("is", "is"), ("see", "see")]
)
def test_stems(word: str, stemmed: str) -> None:
    assert stem(word) == stemmed


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("What are your hours?", True),
        ("So, can I park there?", True),
        ("Next Tuesday.", False),
        ("Whatever.", False),
    ],
)
def test_questions(text: str, asks: bool) -> None:
    assert is_question(text) is asks


def test_contained_phrase_is_a_full_match() -> None:
    assert match_phrase("Well, I want to cancel my appointment today", "cancel my appointment") == 1
    assert contains("Yes, please do.", "please do")
    assert not contains("cancelled", "cancel")


def test_all_meaningful_words_nearly_are() -> None:
    assert match_phrase("the appointment I would like to cancel", "cancel my appointment") >= 0.9


def test_misheard_words_still_match() -> None:
    assert match_phrase("I want to reshedule my apointment", "reschedule my appointment") > 0.62


def test_other_words_do_not() -> None:
    assert match_phrase("What is the weather like", "cancel my appointment") < 0.4
    assert best("anything", []) == 0.0


def test_likeness_of_nothing_is_nothing() -> None:
    assert likeness("", "x") < 0.5
    assert likeness("same", "same") == pytest.approx(1.0)


def test_patterns_look_at_text_and_normal_form() -> None:
    assert matches_any("I DON'T owe that", [r"\bdo not owe\b"])
    assert matches_any("ref. AB-12", [r"ab-\d+"])
    assert not matches_any("hello", [r"\bdo not owe\b"])
