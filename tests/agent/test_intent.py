"""What a bot listens for is found in what callers say, and nothing else."""

from __future__ import annotations

import pytest

from agent.intent import intents_in

PHRASES = {
    "already_paid": ["I have already paid", "payment is done"],
    "callback": ["call me back later", "बाद में कॉल करो"],
    "agent": ["talk to an agent"],
    "nothing": [],
    "empty": ["", "?!"],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I've already paid that.", ["already_paid"]),
        ("No, the payments are done!", ["already_paid"]),
        ("I have already paid, but please call me back later.", ["already_paid", "callback"]),
        ("जी, बाद में कॉल करो।", ["callback"]),
        ("हाँ जी", []),
        ("When are you open?", []),
        ("", []),
    ],
)
def test_turn_holds_the_intents_it_is_like(text: str, expected: list[str]) -> None:
    assert [name for name, _ in intents_in(text, PHRASES)] == expected


def test_confidence_is_how_alike_they_are() -> None:
    ((_, sure),) = intents_in("please call me back later", PHRASES)
    assert sure == 1.0
    ((_, less),) = intents_in("calls me back late", PHRASES)
    assert 0.62 <= less < 1.0
