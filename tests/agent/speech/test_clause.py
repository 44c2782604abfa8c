"""Cutting text into pieces to synthesise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.speech.clause import CLAUSE_GAP_MS, SENTENCE_GAP_MS, ClauseSplitter


def pieces(*chunks: str) -> list[str]:
    splitter = ClauseSplitter()
    found = [piece for chunk in chunks for piece in splitter.push(chunk)]
    return [piece.text for piece in [*found, *splitter.flush()]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there.", ["Hello there."]),
        ("Done. See you on Tuesday.", ["Done. ", "See you on Tuesday."]),
        (
            "So that's a cleaning, on Tuesday at three thirty, for Daniel. Is that right?",
            [
                "So that's a cleaning, ",
                "on Tuesday at three thirty, for Daniel. ",
                "Is that right?",
            ],
        ),
        (
            "It costs $149.95 in all. Dr. Hall sees you at 9 a.m. on Monday.",
            ["It costs $149.95 in all. ", "Dr. Hall sees you at 9 a.m. on Monday."],
        ),
        ("", []),
        ("   ", []),
    ],
)
def test_first_piece_is_short_and_later_ones_are_sentences(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


def test_long_first_clause_is_cut_before_a_conjunction() -> None:
    text = "We would be very happy to see you again and we will text you before your visit."
    first, rest = pieces(text)
    assert len(first.split()) <= 8
    assert first + rest == text


def test_text_that_comes_in_tokens_is_cut_alike() -> None:
    text = "Sure, I can do that for you. Which day would you like to come in?"
    assert pieces(*text) == pieces(text)


def test_first_clause_is_out_before_the_sentence_is_complete() -> None:
    splitter = ClauseSplitter()
    assert [piece.text for piece in splitter.push("Thank you very much, I have ")] == [
        "Thank you very much, "
    ]


def test_gaps_follow_the_punctuation() -> None:
    splitter = ClauseSplitter()
    found = splitter.push("Let me see now, that day is free all morning. What time? ")
    assert [piece.gap_ms for piece in found] == [CLAUSE_GAP_MS, SENTENCE_GAP_MS, SENTENCE_GAP_MS]


def test_sentence_without_end_is_flushed() -> None:
    assert pieces("and then") == ["and then"]


def test_splitter_starts_anew_after_a_flush() -> None:
    splitter = ClauseSplitter()
    splitter.push("One, two")
    splitter.flush()
    assert [piece.text for piece in splitter.push("Three little words, then ")] == [
        "Three little words, "
    ]


@given(st.text("ab ,.!?\n", max_size=80))
def test_nothing_is_lost_or_added(text: str) -> None:
    assert "".join(pieces(text)).strip() == text.strip()
