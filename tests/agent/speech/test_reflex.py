"""Reactions to what any caller may say."""

from __future__ import annotations

import pytest

from agent.speech.reflex import Reflex, is_closing, reflex


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("You", Reflex.NOISE),
        ("", Reflex.NOISE),
        ("Sorry?", Reflex.REPEAT),
        ("Could you repeat that, please?", Reflex.REPEAT),
        ("I didn't catch that.", Reflex.REPEAT),
        ("Hold on a second.", Reflex.HOLD_ON),
        ("Just a moment, let me check.", Reflex.HOLD_ON),
        ("Can I talk to a real person?", Reflex.HUMAN),
        ("Operator, please.", Reflex.HUMAN),
        ("Can I talk to human?", Reflex.HUMAN),
        ("Put me through to a manager", Reflex.HUMAN),
        ("Thank you so much.", Reflex.THANKS),
        ("Okay, goodbye.", Reflex.GOODBYE),
        ("Thank you, good-bye.", Reflex.GOODBYE),
        ("Good-by.", Reflex.GOODBYE),
        ("Nine is good by me.", None),
        ("Have a nice day!", Reflex.GOODBYE),
        ("Are you a robot?", Reflex.ROBOT),
        ("Am I talking to a machine?", Reflex.ROBOT),
        ("How are you today?", Reflex.HOW_ARE_YOU),
        ("Hello?", Reflex.GREETING),
        ("Hello, can you hear me?", Reflex.GREETING),
        ("Hi, I'd like to book a visit.", None),
        ("Next Tuesday.", None),
        ("No, thank you.", None),
        ("My person is here", None),
    ],
)
def test_reactions(text: str, kind: Reflex | None) -> None:
    assert reflex(text) is kind


@pytest.mark.parametrize(
    ("text", "closing"),
    [
        ("No, that's all.", True),
        ("That will be all, thanks.", True),
        ("Nothing else.", True),
        ("I'm all set.", True),
        ("That is all I know about Tuesday", True),
        ("Not yet", False),
    ],
)
def test_closing_words(text: str, closing: bool) -> None:
    assert is_closing(text) is closing
