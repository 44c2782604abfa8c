"""When a caller who waits hears a few words, as arithmetic."""

from __future__ import annotations

from typing import Any

from agent.manners.waiting import Waiting
from contracts.manners import Filler


def waiting(*usual: str, **config: Any) -> Waiting:
    return Waiting(Filler.model_validate(config), usual or ("One moment.", "Let me see."))


def test_first_comes_after_a_while_and_once() -> None:
    wait = waiting()
    wait.take_up(100.0)
    assert wait.deadline() is None
    wait.thinks(100.1)
    assert wait.deadline() == 101.2
    assert wait.expire(101.1) is None
    assert wait.expire(101.2) == "One moment."
    assert wait.deadline() == 107.2


def test_next_wait_has_other_words() -> None:
    wait = waiting()
    said = []
    for began in (0.0, 50.0, 100.0):
        wait.take_up(began)
        wait.thinks(began)
        said.append(wait.expire(began + 2))
        wait.speaks()
        wait.rests()
        assert wait.deadline() is None
    assert said == ["One moment.", "Let me see.", "One moment."]


def test_long_tool_has_so_many_and_no_more() -> None:
    wait = waiting(repeat_after_s=5, at_most=2)
    wait.take_up(0.0)
    wait.thinks(0.0)
    assert wait.expire(1.2) == "One moment."
    assert wait.expire(6.0) is None
    assert wait.expire(6.2) == "Let me see."
    assert wait.deadline() is None
    assert wait.expire(600.0) is None


def test_what_a_tool_says_beforehand_takes_the_place_of_the_first() -> None:
    wait = waiting()
    wait.take_up(0.0)
    wait.thinks(0.0)
    wait.speaks()
    assert wait.deadline() is None
    wait.thinks(3.0)
    assert wait.deadline() == 9.0


def test_nothing_is_said_over_the_caller_and_the_wait_begins_anew() -> None:
    wait = waiting()
    wait.take_up(0.0)
    wait.thinks(0.0)
    wait.disturb(True, 0.5)
    assert wait.deadline() is None
    wait.disturb(False, 3.0)
    assert wait.deadline() == 4.2


def test_nobody_waits_before_a_turn_is_taken_up() -> None:
    wait = waiting()
    wait.disturb(True, 0.0)
    wait.disturb(False, 0.0)
    wait.thinks(0.0)
    assert wait.deadline() is None
    assert wait.expire(50.0) is None


def test_bot_may_have_words_of_its_own_or_none() -> None:
    for config, usual, expected in (
        ({"phrases": ["Ek minute."]}, ("One moment.",), "Ek minute."),
        ({"enabled": False}, ("One moment.",), None),
    ):
        wait = Waiting(Filler.model_validate(config), usual)
        wait.take_up(0.0)
        wait.thinks(0.0)
        assert wait.expire(9.0) == expected
    speechless = Waiting(Filler(), ())
    speechless.take_up(0.0)
    speechless.thinks(0.0)
    assert speechless.expire(9.0) is None


def test_words_change_with_the_language_unless_they_are_the_bots_own() -> None:
    for config, expected in (({}, "Ek minute."), ({"phrases": ["Well."]}, "Well.")):
        wait = waiting(**config)
        wait.usual(("Ek minute.",))
        wait.take_up(0.0)
        wait.thinks(0.0)
        assert wait.expire(9.0) == expected
