"""Conversations with the demo payment reminder, in text. Today is Monday, April 27."""

from __future__ import annotations

import pytest

from tests.fakes.conversation import Conversation, demo_bot, talk_to


@pytest.fixture
def reminder() -> Conversation:
    return talk_to("payment_reminder")


def test_opening_asks_for_the_customer_by_name() -> None:
    assert "{{call.customer_name}}" in demo_bot("payment_reminder").opening_message


def test_payer_who_agrees_is_thanked(reminder: Conversation) -> None:
    reply = reminder.say("Yes, speaking.")
    assert "$149.95 is due on the end of this month" in reply
    assert "Great, thank you" in reminder.say("Yes, I will.")
    assert "Goodbye" in reminder.say("No, that's it.")
    assert reminder.called("note_outcome") == [{"outcome": "will_pay_by_due_date"}]
    assert reminder.intents == ["right_person", "promise_to_pay"]


def test_promise_for_another_day_is_read_back_and_noted(reminder: Conversation) -> None:
    reminder.say("Yes.")
    assert "When do you think" in reminder.say("No, not really.")
    assert "on Friday, May 1. Is that right?" in reminder.say("I can pay on Friday.")
    reminder.say("Yes.")
    assert reminder.called("note_outcome") == [{"outcome": "promise_to_pay", "day": "2026-05-01"}]


def test_promised_day_can_be_corrected(reminder: Conversation) -> None:
    reminder.say("Yes.")
    reminder.say("I can pay it on the fifth of May.")
    assert "Friday, May 8" in reminder.say("No, the eighth.")
    reminder.say("Yes.")
    assert reminder.called("note_outcome")[0]["day"] == "2026-05-08"


@pytest.mark.parametrize(
    "line",
    ["How much is it?", "What is this about?", "When is it due?", "I already paid that.", "Hm?"],
)
def test_nothing_is_said_about_the_debt_before_the_right_person_is_there(
    reminder: Conversation, line: str
) -> None:
    reply = reminder.say(line)
    assert "149" not in reply
    assert "the end of this month" not in reply
    assert "balance" not in reply


def test_caller_who_asks_who_is_calling_is_told(reminder: Conversation) -> None:
    assert "Northwind Energy" in reminder.say("Who is this?")
    assert "$149.95" in reminder.say("Yes.")


def test_wrong_number_ends_with_an_apology(reminder: Conversation) -> None:
    assert "available" in reminder.say("No.")
    assert "sorry" in reminder.say("You have the wrong number.")
    assert reminder.called("note_outcome") == [{"outcome": "wrong_number"}]
    assert reminder.called("end_call") == [{}]
    assert "149" not in reminder.state.said


def test_somebody_else_fetches_the_customer(reminder: Conversation) -> None:
    reminder.say("No, this is her husband.")
    assert "wait" in reminder.say("Hold on, let me get her.")
    assert "Am I speaking with" in reminder.say("Hello?")
    assert "$149.95" in reminder.say("Yes, speaking.")


def test_customer_who_is_out_is_called_again(reminder: Conversation) -> None:
    assert "another time" in reminder.say("He's not here.")
    assert reminder.intents == ["not_available"]


def test_payment_already_made_is_noted(reminder: Conversation) -> None:
    reminder.say("Yes.")
    assert "ignore this reminder" in reminder.say("I already paid that last week.")
    assert reminder.called("note_outcome") == [{"outcome": "already_paid"}]


def test_dispute_goes_to_a_human(reminder: Conversation) -> None:
    reminder.say("Yes, it is.")
    reminder.say("That amount is wrong.")
    assert reminder.called("transfer_call") == [{"reason": "The customer disputes the balance"}]


def test_hardship_is_offered_a_plan(reminder: Conversation) -> None:
    reminder.say("Yes.")
    assert "payment plan" in reminder.say("I can't afford it right now.")
    reminder.say("Yes, please.")
    assert reminder.called("transfer_call") == [{"reason": "The customer asks for a payment plan"}]


def test_bad_time_is_called_back(reminder: Conversation) -> None:
    assert "better day" in reminder.say("Yes, but I'm driving, call me later.")
    assert "Tuesday, April 28" in reminder.say("Tomorrow.")
    assert reminder.called("end_call") == [{}]


def test_do_not_call_is_honoured_at_once(reminder: Conversation) -> None:
    assert "off our call list" in reminder.say("Stop calling me!")
    assert reminder.called("note_outcome") == [{"outcome": "do_not_call"}]
    assert reminder.called("end_call") == [{}]


@pytest.mark.parametrize(
    "greeting",
    [
        "Hi, you've reached Alex. Please leave a message after the tone.",
        "The person you are calling is not available right now.",
        "Your call has been forwarded to voicemail.",
    ],
)
def test_machine_is_recognised(reminder: Conversation, greeting: str) -> None:
    assert reminder.say(greeting) == ""
    assert reminder.called("detected_voicemail") == [{}]


def test_machine_hears_the_message_where_no_tool_can_leave_it() -> None:
    reminder = talk_to("payment_reminder")
    reminder.built_in = frozenset({"end_call"})
    assert "call us back" in reminder.say("Please leave a message after the tone.")
    assert reminder.called("end_call") == [{}]


def test_questions_are_answered_and_the_reminder_goes_on(reminder: Conversation) -> None:
    reminder.say("Yes.")
    reply = reminder.say("How can I pay?")
    assert "by phone, or at any branch" in reply
    assert reply.endswith("Will you be able to pay $149.95 by the end of this month?")


def test_gibberish_does_not_strand_the_caller(reminder: Conversation) -> None:
    reminder.say("Yes.")
    for _ in range(3):
        reply = reminder.say("Blorp glim.")
        assert reply
    assert len(reminder.called("transfer_call")) == 1
