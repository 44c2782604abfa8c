"""Which words are the last of a call."""

from __future__ import annotations

from typing import Any

import pytest

from agent.manners.closure import Closing
from contracts.manners import Closure


def closing(**config: Any) -> Closing:
    return Closing(Closure.model_validate(config))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Thank you for calling. Goodbye!", True),
        ("You are welcome. Have a nice day.", True),
        ("धन्यवाद, आपका दिन शुभ हो।", True),
        ("Shall I say goodbye?", False),
        ("Goodbye is all I can say in French.", False),
        ("By the way, we are open on Sunday.", False),
        ("Goodbye, Asha!", True),
        ("Thank you, goodbye Mr Rao.", True),
        ("Have a nice day, Mrs. Asha Rao.", True),
        ("Bye sir, thank you.", True),
        ("Goodbye, and thank you for calling Nova", False),
        ("Have a great day ahead, ma'am!", True),
        ("Alvida, asha ji.", True),
        ("अलविदा, आशा जी।", True),
        ("अलविदा कहने से पहले, पता बता देता हूँ।", False),
        ("Before we say goodbye, let me read that back.", False),
        ("Before we say goodbye, Asha, let me read that back.", False),
        ("One more thing before we say goodbye.", False),
        ("Before I say bye, Asha.", False),
        ("Take care of it.", False),
        ("Take care. Asha will call you.", False),
        ("Have a nice day. Monday it is.", False),
        ("", False),
    ],
)
def test_line_that_ends_with_a_goodbye_is_the_bots_last(line: str, expected: bool) -> None:
    assert closing().is_bots_last(line) is expected
    assert not closing(bot_enabled=False).is_bots_last(line)


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ("Bye!", True),
        ("Okay, thank you, bye bye", True),
        ("haan theek hai, rakhta hoon", True),
        ("बाय", True),
        ("By the way", False),
        ("Bye, but what about my invoice", False),
        ("Okay, thank you", False),
        ("No, that's all", True),
        ("No thanks, that's all for now.", True),
        ("bye sir", True),
        ("okay bye", True),
        ("Good-by.", True),
        ("theek hai bye", True),
        ("Chalo theek hai, bye ji", True),
        ("nahi bas", True),
        ("Nahi, aur kuch nahi, dhanyavaad", True),
        ("नहीं, बस", True),
        ("ठीक है सर, बाय", True),
        ("No", False),
        ("bas", False),
        ("nahi sir", False),
        ("That's all?", False),
        ("No, that's all wrong", False),
        ("nahi bas ek minute", False),
        ("Before we say goodbye, what about my invoice", False),
    ],
)
def test_turn_that_is_a_goodbye_and_nothing_else_is_the_callers_last(
    turn: str, expected: bool
) -> None:
    assert closing(caller_enabled=True).is_callers_last(turn) is expected
    assert not closing().is_callers_last(turn)


def test_bot_may_have_goodbyes_of_its_own() -> None:
    own = closing(
        bot_phrases=["phir milenge"], caller_enabled=True, caller_phrases=["over and out"]
    )
    assert own.is_bots_last("Shukriya, phir milenge!")
    assert own.is_callers_last("Over and out.")
