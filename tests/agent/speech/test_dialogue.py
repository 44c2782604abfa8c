"""The rules engine on small rules of its own."""

from __future__ import annotations

import pytest

from agent.speech.dialogue import Dialogue
from agent.speech.flow import FlowLoop
from agent.speech.state import State
from tests.fakes.conversation import NOW, Conversation, with_rules

ORDER = {
    "intents": [
        {"name": "order", "phrases": ["order a pizza"], "go": "order"},
        {"name": "hours", "phrases": ["opening hours"], "say": "We close at ten.", "report": False},
    ],
    "slots": {
        "size": {
            "type": "choice",
            "prompt": ["Which size?", "Small or large?"],
            "choices": {"small": [], "large": ["big"]},
            "attempts": 2,
        },
        "day": {"type": "date", "prompt": "Which day?", "reprompt": "A day, please?"},
    },
    "flows": {
        "order": [
            {"ask": "size"},
            {"if": {"slot.size": "large"}, "say": "Large takes longer."},
            {"ask": "day"},
            {"confirm": "{{slot.size}} on {{slot.day}}?"},
            {"set": {"who": "{{call.name}}"}},
            {"report": "ordered"},
            {"call": "place", "with": {"what": "{{slot.size}}"}, "say": "One moment."},
            {"say": "Thanks {{var.who}}, it is {{place.state}}."},
        ]
    },
    "tools": {"place": {"kind": "static", "arguments": ["what"], "result": {"state": "placed"}}},
}


@pytest.fixture
def shop() -> Conversation:
    return with_rules(**ORDER)


def test_flow_runs_to_its_end_and_never_leaves_the_caller_without_a_question(
    shop: Conversation,
) -> None:
    assert shop.say("I want to order a pizza") == "Which size?"
    assert shop.say("A big one.") == "Large takes longer. Which day?"
    assert shop.say("Tomorrow.") == "large on Tuesday, April 28?"
    assert shop.say("Yes.") == "One moment. Thanks Alex, it is placed. How can I help you?"
    assert shop.called("place") == [{"what": "large"}]
    assert shop.intents == ["order", "ordered"]


def test_state_passed_in_is_not_changed() -> None:
    dialogue = Dialogue(with_rules(**ORDER).rules, {})
    before = State()
    after, _ = dialogue.hear(before, "order a pizza", NOW)
    assert before == State()
    assert after.flow == "order"
    again, _ = dialogue.hear(before, "order a pizza", NOW)
    assert again == after


def test_intent_answered_in_place_asks_the_open_question_again(shop: Conversation) -> None:
    shop.say("order a pizza")
    assert shop.say("What are your opening hours?") == "We close at ten. Which size?"
    assert shop.intents == ["order"]


def test_same_intent_in_the_middle_does_not_start_over(shop: Conversation) -> None:
    shop.say("order a pizza")
    assert shop.say("Yes, order a pizza, a small one") == "Which day?"


def test_slot_is_asked_in_other_words_and_then_escalated(shop: Conversation) -> None:
    shop.say("order a pizza")
    assert shop.say("Blorp.") == "Sorry, I didn't catch that. Small or large?"
    assert "colleague" in shop.say("Blorp.")


def test_nobody_to_escalate_to_ends_politely() -> None:
    shop = with_rules(**ORDER, escalate_after=1)
    shop.built_in = frozenset({"end_call"})
    assert "Goodbye" in shop.say("Blorp.")
    assert shop.called("end_call") == [{}]


def test_human_who_cannot_be_reached_is_apologised_for() -> None:
    shop = with_rules(**ORDER)
    shop.built_in = frozenset({"end_call"})
    shop.say("order a pizza")
    reply = shop.say("Let me speak to a person")
    assert "nobody is free" in reply
    assert reply.endswith("Which size?")


def test_failed_transfer_goes_on_with_the_conversation() -> None:
    shop = with_rules(**ORDER)
    shop.failing = frozenset({"transfer_call"})
    shop.say("order a pizza")
    assert "nobody is free" in shop.say("Let me speak to a person")


def test_failed_tool_is_minded_where_the_flow_says_how() -> None:
    rules = {**ORDER, "flows": {"order": [*ORDER["flows"]["order"][:-1], *_MINDED]}}  # type: ignore[index]
    shop = with_rules(**rules)
    shop.failing = frozenset({"place"})
    for line in ("order a pizza", "small", "tomorrow"):
        shop.say(line)
    assert shop.say("Yes.") == "One moment. The oven is broken. Goodbye."


_MINDED = [
    {"if": {"place.error": "failed"}, "say": "The oven is broken.", "end": "Goodbye."},
    {"say": "Placed."},
]


def test_failed_tool_is_handed_over_where_it_does_not() -> None:
    shop = with_rules(**ORDER)
    shop.failing = frozenset({"place"})
    for line in ("order a pizza", "small", "tomorrow"):
        shop.say(line)
    assert "Thanks" not in shop.say("Yes.")
    assert shop.called("transfer_call") == [{"reason": "The tool place failed"}]


def test_tool_that_was_interrupted_is_called_again(shop: Conversation) -> None:
    for line in ("order a pizza", "small", "tomorrow"):
        shop.say(line)
    dialogue = Dialogue(shop.rules, {})
    names = frozenset({"place", "end_call"})
    waiting, reply = dialogue.hear(shop.state, "Yes.", NOW, names)
    assert [tool.name for tool in reply.tools] == ["place"]
    state, reply = dialogue.hear(waiting, "Sorry, make it a large one", NOW, names)
    assert "large on Tuesday" in reply.text
    _, reply = dialogue.hear(state, "Yes.", NOW, names)
    assert reply.tools[0].arguments == {"what": "large"}


def test_result_nobody_waits_for_is_ignored() -> None:
    state, reply = Dialogue(with_rules(**ORDER).rules, {}).answered(State(), {"x": "y"}, NOW)
    assert reply.text == ""
    assert state.variables == {}


def test_flows_that_chase_each_other_are_stopped() -> None:
    bot = with_rules(
        intents=[{"name": "go", "phrases": ["go round"], "go": "one"}],
        flows={"one": [{"go": "two"}], "two": [{"go": "one"}]},
    )
    with pytest.raises(FlowLoop) as caught:
        bot.say("go round")
    assert caught.value.flow in ("one", "two")


def test_start_flow_waits_for_the_answer_to_the_opening_message() -> None:
    bot = with_rules(
        start="hello",
        flows={
            "hello": [{"question": "Are you well?", "if_yes": "good", "if_no": "bad"}],
            "good": [{"end": "Good. Bye."}],
            "bad": [{"say": "Oh."}],
        },
    )
    assert bot.say("Sorry?") == "Are you well?"
    assert bot.say("Yes.") == "Good. Bye."


def test_listed_answers_decide_where_a_question_leads() -> None:
    bot = with_rules(
        start="pick",
        flows={
            "pick": [{"question": "Tea or coffee?", "answers": [
                {"phrases": ["tea"], "go": "tea"}, {"patterns": ["coff?ee"], "go": "coffee"}]}],
            "tea": [{"end": "Tea it is."}],
            "coffee": [{"end": "Coffee it is."}],
        },
    )  # fmt: skip
    assert bot.say("Cofee please") == "Coffee it is."


def test_answers_may_depend_on_what_is_known() -> None:
    faq = [
        {"questions": ["what is my balance"], "if": {"var.known": "yes"}, "answer": "Ten."},
        {"questions": ["what is my balance"], "if": {"var.known": ""}, "answer": "Who are you?"},
    ]
    assert "Who are you?" in with_rules(faq=faq).say("What is my balance?")


def test_bot_without_any_rules_still_talks() -> None:
    bot = with_rules()
    assert bot.say("Hello?") == "How can I help you?"
    assert bot.say("Thanks!") == "You're welcome. How can I help you?"
    assert "Goodbye" in bot.say("Bye.")


def test_slots_can_be_cleared_by_a_step() -> None:
    bot = with_rules(
        start="ask",
        slots={"n": {"type": "number", "prompt": "How many?"}},
        flows={"ask": [{"ask": "n"}, {"say": "{{slot.n}}."}, {"clear": ["n"]}, {"go": "more"}],
               "more": [{"ask": "n"}]},
    )  # fmt: skip
    assert bot.say("Three.") == "3. How many?"
