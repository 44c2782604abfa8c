"""Which words a caller cannot mean to end with."""

from __future__ import annotations

import pytest

from agent.open_ending import is_open


@pytest.mark.parametrize(
    "text",
    [
        "I would like to book a",
        "On Tuesday, or maybe,",
        "It is because",
        "It is because.",
        "It is, um",
        "I need the …",
        "mujhe book karna hai aur",
        "मुझे समय चाहिए और",
        "मुझे समय चाहिए और।",
    ],
)
def test_sentence_that_must_go_on_is_open(text: str) -> None:
    assert is_open(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes",
        "I'd love to",
        "I would like to know when my booking is",
        "What is it for?",
        "Who is this from?",
        "That is all",
        "Tuesday at three",
        "Is it the?",
        "हाँ",
        "मुझे समय चाहिए।",
        "Andand",
    ],
)
def test_sentence_that_may_end_here_is_not(text: str) -> None:
    assert not is_open(text)
