"""The rest of an answer that another model began."""

from __future__ import annotations

import pytest
from livekit.agents import llm

from agent.fallback.continuation import Continuation, continuing

SAID = "Sure, let me check that. Your booking is on"


def through(said: str, *pieces: str) -> str:
    rest = Continuation(said)
    return "".join([*map(rest.push, pieces), rest.flush()])


@pytest.mark.parametrize(
    ("pieces", "rest"),
    [
        ([" Monday", " at", " ten."], " Monday at ten."),
        (["Monday", " at", " ten."], " Monday at ten."),
        # It repeats the last words, or begins anew.
        (["is on", " Monday."], " Monday."),
        (["Sure, let me check", " that. Your book", "ing is on Monday."], " Monday."),
        (["SURE! Let me check that: your booking is on Monday."], " Monday."),
        # It has nothing to add.
        ([], ""),
        (["booking is on"], ""),
        # It says something of its own.
        (["Your appointment", " is Monday."], " Your appointment is Monday."),
    ],
)
def test_rest_follows_what_was_said(pieces: list[str], rest: str) -> None:
    assert through(SAID, *pieces) == rest


def test_space_is_neither_doubled_nor_lost() -> None:
    assert through("Your booking is ", " on Monday.") == "on Monday."
    assert through("Your booking is ", "on Monday.") == "on Monday."
    assert through("Hello", ", there.") == ", there."


def test_what_is_no_repetition_goes_out_as_soon_as_that_is_clear() -> None:
    rest = Continuation(SAID)
    assert rest.push("Mon") == ""
    assert rest.push("day at") == " Monday at"
    assert rest.push(" ten") == " ten"


def test_first_answer_is_left_as_it_is() -> None:
    assert through("", "Sure", ", ", "yes.") == "Sure, yes."


def test_next_model_is_told_what_was_said_and_asked_for_the_rest() -> None:
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="When is it?")
    asked = continuing(context, "It is on")
    roles = [item.role for item in asked.items if isinstance(item, llm.ChatMessage)]
    assert roles == ["user", "assistant", "user"]
    assert isinstance(asked.items[1], llm.ChatMessage)
    assert asked.items[1].text_content == "It is on"
    assert len(context.items) == 1
