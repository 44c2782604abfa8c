"""Cleaning transcripts."""

from __future__ import annotations

import pytest

from agent.speech.text import tidy


@pytest.mark.parametrize(
    ("heard", "text"),
    [
        ("  Yes,   please. ", "Yes, please."),
        ("you you you you you", "you"),
        ("Thank you. Thank you. Thank you. Thank you. Thank you.", "Thank you."),
        ("no no no", "no no no"),
        ("five five five five", "five five five five"),
        ("0 0 0 0 0", "0 0 0 0 0"),
        ("double five double five double five double five", "double five " * 3 + "double five"),
        ("", ""),
    ],
)
def test_loops_collapse_but_digits_stay(heard: str, text: str) -> None:
    assert tidy(heard) == text
