"""What the caller heard of an interrupted line."""

from __future__ import annotations

import pytest

from agent.heard import BotLine, cut_at_word


def timed(*pieces: tuple[str, float | None]) -> BotLine:
    line = BotLine()
    for text, end_s in pieces:
        line.add(text, end_s)
    return line


def test_heard_is_empty_before_anything_was_played() -> None:
    assert timed(("Hello ", 0.4), ("there.", 0.8)).heard(0.0, 0.8) == ""


def test_heard_stops_at_the_word_being_said_when_times_are_known() -> None:
    line = timed(("Your ", 0.2), ("appointment ", 0.9), ("is ", 1.0), ("tomorrow.", 1.6))
    assert line.heard(0.95, 1.6) == "Your appointment is"
    assert line.heard(0.5, 1.6) == "Your"


def test_heard_counts_a_word_whose_last_moment_was_cut() -> None:
    assert timed(("Good ", 0.3), ("morning.", 0.8)).heard(0.73, 0.8) == "Good morning."


def test_heard_is_proportional_when_no_times_are_known() -> None:
    line = timed(("one two three four", None))
    assert line.heard(1.0, 2.0) == "one two"
    assert line.heard(2.0, 2.0) == "one two three four"


def test_text_is_the_whole_line() -> None:
    assert timed(("Hello ", 0.4), ("there. ", 0.8)).text == "Hello there."


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, ""),
        (3, ""),
        (5, "alpha"),
        (6, "alpha"),
        (8, "alpha"),
        (10, "alpha beta"),
        (99, "alpha beta"),
    ],
)
def test_cut_at_word_never_leaves_half_a_word(length: int, expected: str) -> None:
    assert cut_at_word("alpha beta", length) == expected
