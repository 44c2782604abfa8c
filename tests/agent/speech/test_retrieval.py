"""Finding written answers."""

from __future__ import annotations

import pytest

from agent.speech.retrieval import Retriever

ENTRIES = [
    ["what are your opening hours", "when are you open", "what time do you close"],
    ["where are you located", "what is your address"],
    ["is there parking", "where can I park"],
    ["how much is a check-up", "what does a cleaning cost", "what are your prices"],
]


def always(_: int) -> bool:
    return True


@pytest.mark.parametrize(
    ("question", "entry"),
    [
        ("When do you open on Monday?", 0),
        ("What's the address?", 1),
        ("Can I park my car somewhere?", 2),
        ("What would a cleaning cost me?", 3),
    ],
)
def test_paraphrases_find_their_entry(question: str, entry: int) -> None:
    found = Retriever(ENTRIES).find(question, always)
    assert found is not None
    assert found.index == entry
    assert found.score > 0.42


@pytest.mark.parametrize("text", ["I love the rain", "four one five", "xyzzy", ""])
def test_other_talk_is_unlike_everything(text: str) -> None:
    found = Retriever(ENTRIES).find(text, always)
    assert found is not None
    assert found.score < 0.42


def test_entries_that_are_not_allowed_are_passed_over() -> None:
    found = Retriever(ENTRIES).find("is there parking", lambda at: at != 2)
    assert found is not None
    assert found.index != 2
    assert Retriever(ENTRIES).find("is there parking", lambda at: False) is None


def test_no_entries_find_nothing() -> None:
    assert Retriever([]).find("anything", always) is None
