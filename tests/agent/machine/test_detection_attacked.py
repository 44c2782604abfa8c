"""Calls that we place, in virtual time: who errs, hangs up, holds, or presses keys on them."""

from __future__ import annotations

import asyncio

import pytest
from livekit.agents import APIError

from contracts.outcome import Reason
from tests.fakes.greetings import sound
from tests.fakes.placed_call import (
    LEAVE_A_MESSAGE,
    MESSAGE,
    greets,
    placing,
    speaks,
)
from tests.fakes.spoken_call import GREETING
from tests.fakes.virtual_time import virtual_time


@virtual_time
async def test_phone_that_sends_nothing_while_it_is_silent_is_silent() -> None:
    async with placing() as call:
        pcm, ends_s = sound("{0.4}Hello?", 0.0)
        call.room.mouth += pcm
        await asyncio.sleep(ends_s)
        await call.room.stop()
        await call.until(lambda: bool(call.room.spoken_s()), 5.0)
        assert call.now() - ends_s < 1.5


@virtual_time
async def test_machine_that_begins_after_the_opening_has_begun_is_recognised() -> None:
    words = "The person you are calling is not available."
    async with placing() as call:
        greets_at = await greets(call, f"{{1.6}}{words}", words)
        ending = await call.ended()
        assert (ending.reason, ending.detail) == (Reason.VOICEMAIL, "unavailable")
        assert call.now() - greets_at < 4.0
        assert call.noticed().count("human_detected") == 1
        assert call.llm.asked == []


@virtual_time
async def test_answer_to_the_opening_is_no_announcement() -> None:
    words = "She is not available, please try again later."
    async with placing("Thank you.") as call:
        await speaks(call)
        await call.lines(1)
        await greets(call, f"{{0.5}}{words}", words)
        await call.until(lambda: "Thank you." in call.said("bot"))
        assert call.llm.asked == [words]


@virtual_time
async def test_person_who_says_hello_twice_is_opened_to_once() -> None:
    async with placing("How can I help?") as call:
        await greets(call, "{0.4}Hello? {0.9} Hello?", "Hello? Hello?")
        await asyncio.sleep(8)
        assert call.said("bot").count(GREETING) == 1


@virtual_time
async def test_person_who_hangs_up_during_the_message_got_none_of_it() -> None:
    async with placing(voicemail_message=MESSAGE * 5) as call:
        await greets(call, f"{{0.5}}{LEAVE_A_MESSAGE} {{0.7}}{{1000Hz 0.5}}", LEAVE_A_MESSAGE)
        await speaks(call)
        await asyncio.sleep(1.0)
        hung_up_at = call.now()
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        assert (await call.ended()).reason is Reason.CALLER_HUNG_UP
        assert "voicemail_left" not in call.noticed()
        assert call.now() - hung_up_at < 2.0


@pytest.mark.parametrize(
    ("words", "after_s", "phase"),
    [
        ("Hello?", 0.3, "greeting"),
        ("Hello?", 2.0, "person"),
        (LEAVE_A_MESSAGE, 1.0, "mailbox"),
        (LEAVE_A_MESSAGE, 3.4, "message"),
        ("State your name and why you are calling.", 1.2, "introducing"),
    ],
)
def test_call_that_is_hung_up_is_over_soon(words: str, after_s: float, phase: str) -> None:
    @virtual_time
    async def call_is_over() -> None:
        async with placing() as call:
            await greets(call, f"{{0.4}}{words}", words)
            await asyncio.sleep(after_s)
            assert call.conversation._detection._phase.value == phase
            hung_up_at = call.now()
            call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
            await call.ended()
            assert call.now() - hung_up_at < 2.0

    call_is_over()


@virtual_time
async def test_key_pressed_before_the_opening_is_answered_after_it() -> None:
    async with placing("You pressed one.") as call:
        await asyncio.sleep(0.3)
        call.room.press("1")
        await call.lines(3)
        assert call.said("bot") == [GREETING, "You pressed one."]
        assert call.llm.asked == ["[pressed 1]"]


@virtual_time
async def test_line_that_is_held_before_the_verdict_hears_the_opening_after_it() -> None:
    async with placing() as call:
        await asyncio.sleep(0.3)
        call.room.hold()
        await asyncio.sleep(6)
        assert not call.room.is_playing
        call.room.hold(False)
        await speaks(call)
        await call.lines(1)
        assert call.said("bot") == [GREETING]


@pytest.mark.parametrize(
    "words",
    [
        "I'll call you back when I'm home.",
        "I missed your call, sorry.",
        "My old phone is switched off now.",
        "Abhi dukaan band hai.",
    ],
)
def test_person_who_talks_to_the_bot_may_say_what_machines_say(words: str) -> None:
    @virtual_time
    async def person_is_answered() -> None:
        async with placing("All right.") as call:
            await greets(call, "{0.4}Hello?", "Hello?")
            await call.lines(2)
            await greets(call, f"{{0.3}}{words}", words)
            await call.until(lambda: "All right." in call.said("bot"))
            assert call.llm.asked == [words]
            assert "machine_detected" not in call.noticed()

    person_is_answered()


@virtual_time
async def test_message_that_has_no_voice_is_not_left() -> None:
    async with placing() as call:
        call.tts.error = APIError("no voice")
        await greets(call, f"{{0.5}}{LEAVE_A_MESSAGE} {{0.7}}{{1000Hz 0.5}}", LEAVE_A_MESSAGE)
        ending = await call.ended()
        assert (ending.reason, ending.detail) == (
            Reason.VOICEMAIL,
            "the message could not be said",
        )
        assert "voicemail_left" not in call.noticed()


@virtual_time
async def test_model_s_word_counts_as_soon_when_nobody_listened_any_more() -> None:
    replies = ("", "detected_voicemail", "")
    async with placing(replies, dead_air_seconds=100, no_response_seconds=100) as call:
        await greets(call, "{0.4}Hello?", "Hello?")
        await call.lines(2)
        call.room.mouth += sound("{10}Hello?", 0.0)[0]
        await asyncio.sleep(25)
        asked_at = call.now()
        call.caller.say("You have dialled the house of the Smiths and nobody is in.")
        await speaks(call)
        assert call.now() - asked_at < 4.5
        assert (await call.ended()).reason is Reason.VOICEMAIL
