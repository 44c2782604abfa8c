"""Conversations with the demo appointment desk, in text. Today is Monday, April 27."""

from __future__ import annotations

import pytest

from tests.fakes.conversation import Conversation, talk_to


@pytest.fixture
def desk() -> Conversation:
    return talk_to("appointment_desk")


def test_booking_step_by_step_ends_with_a_booking_and_a_goodbye(desk: Conversation) -> None:
    assert "check-up, a cleaning" in desk.say("Hi, I'd like to book an appointment, please.")
    assert desk.say("A cleaning.") == "Which day suits you?"
    assert desk.say("Next Tuesday.") == "What time works best?"
    assert "3:30 PM on Tuesday, May 5 is free" in desk.say("Half past three.")
    assert "phone number" in desk.say("My name is Rahul.")
    assert desk.say("Four, one, five, five five five, zero one nine two.") == (
        "I have 415-555-0192. Is that right?"
    )
    assert desk.say("Yes.").endswith("for Rahul. Shall I book it?")
    assert "You're booked for Tuesday, May 5 at 3:30 PM" in desk.say("Yes, please.")
    assert desk.say("No, that's all. Thanks.").endswith("Goodbye.")
    assert desk.called("book_visit") == [
        {
            "service": "cleaning",
            "day": "2026-05-05",
            "time": "15:30",
            "name": "Rahul",
            "phone": "4155550192",
        }
    ]
    assert desk.called("end_call") == [{}]
    assert desk.intents == ["book_appointment", "appointment_booked"]


def test_all_in_one_sentence_asks_only_what_is_missing(desk: Conversation) -> None:
    reply = desk.say("I'd like to book a cleaning for tomorrow at half past one.")
    assert "1:30 PM on Tuesday, April 28 is free" in reply
    assert "name" in reply


def test_taken_time_is_answered_with_others(desk: Conversation) -> None:
    reply = desk.say("Can I book a check-up on Tuesday at 3?")
    assert "2:30 PM or 3:30 PM" in reply
    assert "3:30 PM on Tuesday, April 28 is free" in desk.say("Three thirty is good.")


def test_closed_day_asks_for_another_and_keeps_the_time(desk: Conversation) -> None:
    assert "closed" in desk.say("I need an appointment for a filling on Saturday at ten")
    assert "10:00 AM on Monday, May 4 is free" in desk.say("Monday then.")


def test_correction_at_the_end_is_checked_again(desk: Conversation) -> None:
    for line in ("I want to book a cleaning tomorrow at 10", "Maria", "212 555 0143", "yes"):
        reply = desk.say(line)
    assert "Tuesday, April 28 at 10:00 AM" in reply
    reply = desk.say("No, I meant Wednesday.")
    assert "9:30 AM or 10:30 AM" in reply
    assert "Wednesday, April 29 at 10:30 AM" in desk.say("Half past ten.")


def test_wrong_digit_is_corrected_when_read_back(desk: Conversation) -> None:
    for line in ("I want to book a cleaning tomorrow at 10", "Maria", "212 555 0143"):
        desk.say(line)
    assert "212-555-0144" in desk.say("No, it's 212-555-0144.")
    desk.say("Yes.")
    desk.say("Yes.")
    assert desk.called("book_visit")[0]["phone"] == "2125550144"


def test_what_to_change_is_asked_after_a_bare_no(desk: Conversation) -> None:
    for line in ("I want to book a cleaning tomorrow at 10", "Maria", "212 555 0143", "yes"):
        desk.say(line)
    assert "What should I change" in desk.say("No.")
    assert "time" in desk.say("The time.")
    assert "11:30 AM, for Maria" in desk.say("Half past eleven.")


def test_questions_in_between_are_answered_and_the_booking_goes_on(desk: Conversation) -> None:
    desk.say("I'd like to book a cleaning.")
    reply = desk.say("Is there parking?")
    assert "free parking" in reply
    assert reply.endswith("Which day suits you?")
    assert "$95" in desk.say("How much does a cleaning cost?")
    assert "What time" in desk.say("Thursday.")


def test_repeat_and_hold_on_change_nothing(desk: Conversation) -> None:
    asked = desk.say("I'd like to book a cleaning.")
    assert desk.say("Sorry?") == asked
    assert "take your time" in desk.say("Hold on a second.")
    assert "What time" in desk.say("Friday.")


def test_phone_number_in_two_breaths_is_one_number(desk: Conversation) -> None:
    for line in ("I want to book a cleaning tomorrow at 10", "Maria"):
        desk.say(line)
    assert "rest" in desk.say("Two one two, five five five.")
    assert "212-555-0143" in desk.say("Zero one four three.")


def test_cancelling_needs_a_yes(desk: Conversation) -> None:
    desk.say("I need to cancel my appointment.")
    assert "Shall I cancel it" in desk.say("John Smith.")
    assert "cancelled" in desk.say("Yes, cancel it.")
    assert desk.called("cancel_visit") == [{"name": "John Smith"}]
    assert "Goodbye" in desk.say("No, thank you.")


def test_cancelling_turns_into_moving(desk: Conversation) -> None:
    desk.say("I need to cancel my appointment.")
    desk.say("John Smith.")
    assert "Which day" in desk.say("Actually, can I move it?")
    desk.say("Friday at half past ten.")
    assert "new time is Friday, May 1 at 10:30 AM" in desk.say("Yes.")


def test_human_is_put_through_at_once(desk: Conversation) -> None:
    assert "front desk" in desk.say("Can I talk to a real person?")
    assert desk.called("transfer_call") == [{"reason": "The caller asked for a human"}]


def test_emergency_goes_to_a_human(desk: Conversation) -> None:
    desk.say("My tooth broke and I'm in a lot of pain.")
    assert desk.called("transfer_call") == [{"reason": "Dental emergency"}]
    assert desk.intents == ["emergency"]


def test_gibberish_is_asked_again_twice_and_then_handed_over(desk: Conversation) -> None:
    assert "didn't quite get that" in desk.say("Blah foo.")
    assert "missed that again" in desk.say("Xyzzy.")
    assert "colleague" in desk.say("Quux.")
    assert len(desk.called("transfer_call")) == 1


def test_noise_is_not_answered(desk: Conversation) -> None:
    desk.say("I'd like to book a cleaning.")
    assert desk.say("You") == ""
    assert "What time" in desk.say("Friday.")


def test_small_talk_leads_back_to_business(desk: Conversation) -> None:
    assert "virtual assistant" in desk.say("Are you a robot?")
    assert desk.say("Hello?").endswith("?")
    assert "thank you for asking" in desk.say("How are you?")


def test_only_a_question_and_then_goodbye(desk: Conversation) -> None:
    assert desk.say("Are you open on Saturday?").endswith("anything else I can help you with?")
    assert "Goodbye" in desk.say("No.")
    assert len(desk.called("end_call")) == 1


def test_second_booking_starts_fresh_but_knows_the_caller(desk: Conversation) -> None:
    for line in ("I want to book a cleaning tomorrow at 10", "Maria", "212 555 0143", "yes", "yes"):
        desk.say(line)
    assert "check-up, a cleaning" in desk.say("I'd like to book another appointment")
    assert "Thursday, April 30" in desk.say("A filling on Thursday at 2.")
    assert len(desk.called("book_visit")) == 1
    desk.say("Yes.")
    assert desk.called("book_visit")[1]["name"] == "Maria"


def test_words_over_the_goodbye_are_still_answered(desk: Conversation) -> None:
    desk.say("Goodbye.")
    assert "free parking" in desk.say("Wait, is there parking?")
    assert "Goodbye" in desk.say("No, thanks. Bye.")


def test_back_end_that_fails_never_claims_a_booking() -> None:
    desk = talk_to("appointment_desk")
    desk.failing = frozenset({"book_visit"})
    for line in ("I want to book a cleaning tomorrow at 10", "Maria", "212 555 0143", "yes"):
        desk.say(line)
    reply = desk.say("Yes.")
    assert "booked" not in reply
    assert len(desk.called("transfer_call")) == 1
