"""Goodbyes that end a call by themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contracts.command import HangUp
from contracts.outcome import Reason
from tests.fakes.engines import ScriptedEngines, ScriptedVAD
from tests.fakes.spoken_call import GREETING, Call, calling, running
from tests.fakes.virtual_time import virtual_time

GOODBYE = "You are welcome. Have a nice day, goodbye!"


@virtual_time
async def test_bots_goodbye_ends_the_call_once_it_was_heard() -> None:
    async with calling(GOODBYE) as call:
        await call.lines(1)
        call.caller.say("That would be all")
        await call.lines(3)
        said_at = call.now()
        ending = await call.ended()
        assert ending.reason is Reason.BOT_ENDED
        assert 1.9 <= call.now() - said_at < 2.5
        assert call.said("bot")[-1] == GOODBYE
        assert call.room.commands == [HangUp()]


@pytest.mark.parametrize("words", ["", "okay"])
@virtual_time
async def test_listeners_noise_after_the_bots_goodbye_keeps_nobody_on_the_line(words: str) -> None:
    vad = ScriptedVAD()
    call = Call(ScriptedEngines(GOODBYE, vad=vad), re_engagement={})
    async with running(call):
        await call.lines(1)
        call.caller.say("That would be all")
        await call.lines(3)
        await asyncio.sleep(0.5)
        vad.begin()
        await asyncio.sleep(0.4)
        vad.end()
        if words:
            await asyncio.sleep(0.5)
            call.caller.say(words)
        ended_at = call.now()
        assert (await call.ended()).reason is Reason.BOT_ENDED
        assert call.now() - ended_at < 3
        assert call.said("bot")[-1] == GOODBYE


@virtual_time
async def test_words_begun_after_the_bots_goodbye_are_waited_for() -> None:
    vad = ScriptedVAD()
    call = Call(ScriptedEngines(GOODBYE, "At nine.", vad=vad))
    async with running(call):
        await call.lines(1)
        call.caller.say("That would be all")
        await call.lines(3)
        await asyncio.sleep(0.5)
        vad.begin()
        call.caller.begin()
        call.caller.interim("When do you")
        await asyncio.sleep(0.5)
        vad.end()
        await asyncio.sleep(4)
        call.caller.final("When do you open tomorrow?")
        await call.lines(5)
        assert call.room.commands == []
        assert call.said("bot")[-1] == "At nine."


@virtual_time
async def test_caller_may_still_speak_up_after_the_bots_goodbye() -> None:
    async with calling(GOODBYE, "At nine.") as call:
        await call.lines(1)
        call.caller.say("That would be all")
        await call.lines(3)
        await asyncio.sleep(1.5)
        call.caller.say("When do you open tomorrow?")
        await call.lines(5)
        await asyncio.sleep(3)
        assert call.room.commands == []
        assert call.said("bot")[-1] == "At nine."


@virtual_time
async def test_goodbye_that_was_cut_off_ends_nothing() -> None:
    async with calling(GOODBYE, "At nine.") as call:
        await call.lines(1)
        call.caller.say("That would be all")
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(1)
        call.caller.say("Wait, I have a question")
        await call.lines(5)
        await asyncio.sleep(3)
        assert call.room.commands == []


@virtual_time
async def test_bots_goodbye_is_a_line_like_any_other_where_it_wants_it_so() -> None:
    off: dict[str, Any] = {"closure": {"bot_enabled": False}}
    async with calling(GOODBYE, manners=off, dead_air_seconds=30) as call:
        await call.lines(1)
        call.caller.say("That would be all")
        await call.lines(3)
        await asyncio.sleep(20)
        assert call.room.commands == []


@virtual_time
async def test_callers_goodbye_is_answered_by_the_closing_line_where_the_bot_wants_it() -> None:
    async with calling(
        closing_message="Thank you for calling.", manners={"closure": {"caller_enabled": True}}
    ) as call:
        await call.lines(1)
        call.caller.say("Okay, thank you, bye bye")
        ending = await call.ended()
        assert ending.reason is Reason.BOT_ENDED
        assert call.transcript() == [
            ("bot", GREETING),
            ("customer", "Okay, thank you, bye bye"),
            ("bot", "Thank you for calling."),
        ]
        assert call.llm.asked == []


@virtual_time
async def test_callers_goodbye_is_the_models_to_answer_by_default() -> None:
    async with calling("Was that all?", closing_message="Thank you for calling.") as call:
        await call.lines(1)
        call.caller.say("Okay, thank you, bye bye")
        await call.lines(3)
        assert call.said("bot")[-1] == "Was that all?"
