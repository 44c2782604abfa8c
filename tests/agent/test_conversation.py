"""How a call is talked through and how it ends, whatever fails."""

from __future__ import annotations

import asyncio

from livekit.agents import APIError

from contracts.command import HangUp
from contracts.outcome import Reason
from contracts.report import (
    ToolCalled,
)
from tests.fakes.engines import ScriptedEngines
from tests.fakes.spoken_call import GREETING, Call, calling
from tests.fakes.virtual_time import virtual_time


@virtual_time
async def test_nothing_is_said_before_the_answer() -> None:
    async with calling(answer=False) as call:
        await asyncio.sleep(20)
        assert call.room.packets == []
        assert call.facts == []
        call.room.answer()
        call.answered.set()
        await call.lines(1)
        assert call.transcript() == [("bot", GREETING)]
        assert call.types()[0] == "conversation_started"


@virtual_time
async def test_caller_is_answered_and_facts_stand_in_order() -> None:
    async with calling("We are open daily.") as call:
        await call.lines(1)
        call.caller.say("When are you open?")
        await call.lines(3)
        assert call.transcript()[1:] == [
            ("customer", "When are you open?"),
            ("bot", "We are open daily."),
        ]
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        ending = await call.ended()
        assert ending.reason is Reason.CALLER_HUNG_UP
        assert call.types()[-1] == "usage_counted"
        assert call.room.commands == []


@virtual_time
async def test_silent_caller_is_asked_and_given_up() -> None:
    async with calling(
        re_engagement={"messages": ["Are you there?"], "after_seconds": 5}, no_response_seconds=7
    ) as call:
        ending = await call.ended()
        assert ending.reason is Reason.NO_RESPONSE
        assert call.said("bot") == [GREETING, "Are you there?"]
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_silence_after_words_says_the_closing_line_and_is_dead_air() -> None:
    async with calling("Sure.", dead_air_seconds=6, closing_message="I hang up now.") as call:
        await call.lines(1)
        call.caller.say("Hello there")
        ending = await call.ended()
        assert ending.reason is Reason.DEAD_AIR
        assert call.said("bot")[-1] == "I hang up now."
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_longest_duration_cuts_in_with_the_closing_line() -> None:
    story = "This is a very long story that goes on and on, " * 20
    async with calling(
        story, max_call_duration_seconds=10, closing_message="Time is up. Goodbye."
    ) as call:
        await call.lines(1)
        call.caller.say("Tell me a story")
        ending = await call.ended()
        assert ending.reason is Reason.MAX_DURATION
        assert call.said("bot")[-1] == "Time is up. Goodbye."
        assert len(call.said("bot")[1]) < len(story) / 2
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_goodbye_is_heard_before_the_bot_hangs_up() -> None:
    goodbye = "Thank you for calling. Goodbye."
    async with calling((goodbye, "end_call", "")) as call:
        await call.lines(1)
        call.caller.say("That is all")
        ending = await call.ended()
        assert ending.reason is Reason.BOT_ENDED
        assert call.said("bot") == [GREETING, goodbye]
        assert not call.room.is_playing
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_goodbye_that_is_cut_does_not_end_the_call() -> None:
    goodbye = "Thank you very much for calling us today and goodbye until the next time."
    async with calling((goodbye, "end_call", ""), "At nine.", "At ten.") as call:
        await call.lines(1)
        call.caller.say("That is all")
        await call.lines(2)
        await asyncio.sleep(1.5)
        call.caller.say("Wait, when do you open tomorrow?")
        await call.lines(5)
        assert not call.running.done()  # type: ignore[union-attr]
        assert "Wait, when do you open tomorrow?" in call.said("customer")
        assert call.said("bot")[-1] == "At nine."
        assert "end_call" in [fact.name for fact in call.facts if isinstance(fact, ToolCalled)]
        assert call.room.commands == []


@virtual_time
async def test_goodbye_in_turn_does_not_cut_the_bots_own() -> None:
    goodbye = "Thank you very much for calling us today and goodbye until the next time."
    async with calling((goodbye, "end_call", "")) as call:
        await call.lines(1)
        call.caller.say("That is all")
        await call.lines(2)
        await asyncio.sleep(1.5)
        call.caller.say("Thank you, goodbye.")
        assert (await call.ended()).reason is Reason.BOT_ENDED
        assert call.said("bot") == [GREETING, goodbye]
        assert call.said("customer") == ["That is all", "Thank you, goodbye."]


@virtual_time
async def test_caller_who_leaves_while_the_bot_speaks_ends_it_with_what_was_heard() -> None:
    story = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen."
    async with calling(story) as call:
        await call.lines(1)
        call.caller.say("Tell me a story")
        await call.lines(2)
        await asyncio.sleep(1.5)
        await call.room.leave()
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        began = call.now()
        assert (await call.ended()).reason is Reason.CALLER_HUNG_UP
        assert call.now() - began < 1
        assert story.startswith(call.said("bot")[-1])
        assert call.said("bot")[-1] != story
        assert call.room.commands == []


@virtual_time
async def test_last_words_before_the_hang_up_reach_the_transcript_once() -> None:
    async with calling() as call:
        await call.lines(1)
        call.caller.begin()
        call.caller.interim("Please send it")
        await asyncio.sleep(0.3)
        await call.room.leave()
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        await asyncio.sleep(0.1)
        call.caller.final("Please send it by mail")
        await call.ended()
        assert call.said("customer") == ["Please send it by mail"]


@virtual_time
async def test_words_that_nobody_answered_yet_are_told_once() -> None:
    async with calling(turn={"min_delay_s": 3, "max_delay_s": 3}) as call:
        await call.lines(1)
        call.caller.say("One more thing")
        await asyncio.sleep(0.2)
        await call.room.leave()
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        await call.ended()
        assert call.said("customer") == ["One more thing"]


@virtual_time
async def test_first_ending_wins() -> None:
    async with calling() as call:
        await call.lines(1)
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        call.conversation.end(Reason.BOT_ENDED)
        assert (await call.ended()).reason is Reason.CALLER_HUNG_UP
        assert call.room.commands == []


@virtual_time
async def test_stream_of_words_that_dies_ends_the_call() -> None:
    async with calling() as call:
        await call.lines(1)
        call.caller.fail(ValueError("broken model"))
        ending = await call.ended(30)
        assert (ending.reason, ending.detail) == (Reason.PIPELINE_FAILED, "ValueError")
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_service_that_keeps_failing_ends_the_call() -> None:
    async with calling() as call:
        await call.lines(1)
        for _ in range(30):
            call.caller.fail(APIError("away", retryable=False))
        ending = await call.ended()
        assert ending.reason is Reason.PIPELINE_FAILED
        assert "service_error" in call.noticed()


@virtual_time
async def test_session_that_dies_before_the_answer_ends_the_call() -> None:
    async with calling(answer=False) as call:
        call.caller.fail(ValueError("broken model"))
        assert (await call.ended(30)).reason is Reason.PIPELINE_FAILED


@virtual_time
async def test_voice_that_cannot_greet_ends_the_call() -> None:
    scripted = ScriptedEngines()
    scripted.tts.error = APIError("no voice", retryable=False)
    call = Call(scripted)
    await call.conversation.start()
    call.room.answer()
    call.answered.set()
    ending = await asyncio.wait_for(call.conversation.run(call.answered), 30)
    assert ending.reason is Reason.PIPELINE_FAILED
    await call.room.stop()


@virtual_time
async def test_prompt_that_cannot_be_spoken_does_not_stop_the_clock() -> None:
    async with calling(
        re_engagement={"messages": ["Are you there?"], "after_seconds": 5}, no_response_seconds=7
    ) as call:
        await call.lines(1)
        call.tts.error = APIError("no voice", retryable=False)
        ending = await call.ended(60)
        assert ending.reason is Reason.NO_RESPONSE
        assert call.said("bot") == [GREETING]


@virtual_time
async def test_room_that_is_gone_does_not_change_the_ending() -> None:
    async with calling(no_response_seconds=5) as call:
        await call.lines(1)
        call.room.is_gone = True
        assert (await call.ended()).reason is Reason.NO_RESPONSE
        assert call.room.commands == []
