"""Menus and numbers by keys, on small rules of their own."""

from __future__ import annotations

import pytest

from agent.speech.dialogue import Dialogue
from agent.speech.keys import is_keys, pressed, pressed_in
from agent.speech.state import State
from contracts.rules import RulesConfig
from tests.fakes.conversation import NOW, Conversation, with_rules

MENU = {
    "start": "menu",
    "intents": [
        {"name": "operator", "digits": ["0"], "go": "operator"},
        {"name": "hours", "phrases": ["opening hours"], "digits": ["9", "99"], "say": "Till ten."},
        {"name": "secret", "digits": ["7"], "say": "Shh.", "if": {"slot.pin": "1234"}},
    ],
    "slots": {
        "pin": {
            "type": "digits",
            "prompt": "Your PIN?",
            "min_digits": 4,
            "max_digits": 6,
            "attempts": 2,
        },
        "size": {"type": "choice", "prompt": "Size?", "choices": {"small": ["1"], "large": ["2"]}},
        "name": {"type": "name", "prompt": "Your name?"},
        "phone": {"type": "phone", "prompt": "Phone?", "min_digits": 10, "max_digits": 10},
    },
    "flows": {
        "menu": [
            {
                "question": ["Press 1 for sales, 2 for help."],
                "answers": [
                    {"digits": ["1"], "phrases": ["sales"], "go": "sales"},
                    {"digits": ["2", "#"], "go": "help"},
                ],
            }
        ],
        "sales": [{"ask": "size"}, {"ask": "phone"}, {"say": "{{slot.size}}, {{slot.phone}}."}],
        "help": [{"ask": "pin"}, {"ask": "name"}, {"say": "Hello {{slot.name}}."}],
        "operator": [{"transfer": "asked by key", "say": "One moment."}],
    },
}


@pytest.fixture
def desk() -> Conversation:
    return with_rules(**MENU)


def press(desk: Conversation, digits: str) -> str:
    return desk.say(pressed(digits))


def expects(desk: Conversation, digits: str) -> bool:
    rules = RulesConfig.model_validate(MENU)
    return Dialogue(rules, {}).takes_digits(desk.state, digits)


def test_question_is_answered_by_key_or_words(desk: Conversation) -> None:
    assert press(desk, "1") == "Size?"
    assert with_rules(**MENU).say("Sales please") == "Size?"
    assert press(with_rules(**MENU), "#") == "Your PIN?"


def test_slots_are_filled_from_keys(desk: Conversation) -> None:
    press(desk, "1")
    assert press(desk, "2") == "Phone?"
    assert press(desk, "4155550192#").startswith("large, 415-555-0192.")
    press(other := with_rules(**MENU), "2")
    assert press(other, "1234") == "Your name?"
    assert other.say("Ann") == "Hello Ann. How can I help you?"


def test_number_may_come_in_parts(desk: Conversation) -> None:
    press(desk, "2")
    assert press(desk, "12") == "Okay, and the rest?"
    assert press(desk, "34") == "Your name?"
    assert desk.state.slots["pin"].raw == "1234"


def test_short_cut_works_anywhere_and_only_where_it_applies(desk: Conversation) -> None:
    press(desk, "1")
    assert press(desk, "9") == "Till ten. Size?"
    assert "Shh" not in press(desk, "7")
    press(other := with_rules(**MENU), "2")
    press(other, "1234")
    assert press(other, "7").startswith("Shh.")
    assert press(other, "0") == "One moment."
    assert other.called("transfer_call") == [{"reason": "asked by key"}]


def test_keys_that_mean_nothing_are_asked_about_again(desk: Conversation) -> None:
    assert press(desk, "5").startswith("Sorry, I didn't catch that.")
    press(desk, "2")
    assert press(desk, "1234567").startswith("Sorry")
    assert press(desk, "*").startswith("I'm having trouble")


def test_keys_over_the_goodbye_are_taken(desk: Conversation) -> None:
    desk.say("goodbye")
    assert desk.state.ended
    assert press(desk, "9").startswith("Till ten.")
    assert not desk.state.ended


def test_name_is_not_spelt_by_keys(desk: Conversation) -> None:
    press(desk, "2")
    press(desk, "1234")
    assert press(desk, "33").startswith("Sorry")


def test_keys_are_complete_where_none_can_follow(desk: Conversation) -> None:
    assert expects(desk, "1")
    assert expects(desk, "0")
    assert not expects(desk, "9")
    assert expects(desk, "99")
    assert not expects(desk, "5")
    assert not expects(desk, "7")
    press(desk, "2")
    assert not expects(desk, "1234")
    assert expects(desk, "123456")
    press(desk, "12")
    assert expects(desk, "3456")
    press(other := with_rules(**MENU), "1")
    assert expects(other, "2")
    assert not expects(other, "3")


def test_nothing_is_changed_by_asking(desk: Conversation) -> None:
    state = State()
    assert Dialogue(RulesConfig.model_validate(MENU), {}).takes_digits(state, "1")
    assert state == State()


def test_transfer_the_caller_was_told_of_is_not_apologised_for_again() -> None:
    dialogue = Dialogue(RulesConfig.model_validate(MENU), {})
    state, _ = dialogue.hear(State(), pressed("0"), NOW)
    told = {"transferred": "no", "reason": "busy", "caller_was_told": "Nobody is free."}
    state, reply = dialogue.answered(state, told, NOW)
    assert reply.text == "How can I help you?"
    assert not state.ended


@pytest.mark.parametrize("digits", ["1", "12#", "*0ABCD"])
def test_keys_are_a_line_and_back(digits: str) -> None:
    assert pressed_in(pressed(digits)) == digits
    assert is_keys(digits)


@pytest.mark.parametrize("text", ["", "[pressed ]", "pressed 1", "[pressed 1] and more", "1 2"])
def test_words_are_no_keys(text: str) -> None:
    assert pressed_in(text) == ""
    assert not is_keys(text)


@pytest.mark.parametrize("digits", ["", "1-2", "x", "1" * 21])
def test_rules_name_keys_that_exist(digits: str) -> None:
    with pytest.raises(ValueError, match="digits"):
        RulesConfig.model_validate({"intents": [{"name": "a", "digits": [digits]}]})


def test_tools_for_keys_can_be_called_but_not_defined() -> None:
    step = {"call": "collect_digits", "with": {"max_digits": "4"}, "into": "pin"}
    RulesConfig.model_validate({"flows": {"main": [step]}})
    with pytest.raises(ValueError, match="built in"):
        RulesConfig.model_validate({"tools": {"collect_digits": {"kind": "static"}}})
