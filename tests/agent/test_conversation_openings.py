"""What is said over the opening, and before it."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.engines import CHARS_PER_S, ScriptedEngines, ScriptedVAD
from tests.fakes.spoken_call import Call, calling, running
from tests.fakes.virtual_time import virtual_time

STORY = "We are open from nine to five on every day of the week but Sunday, and in summer too."


@pytest.mark.parametrize("words", ["Hello?", "haan ji", "हेलो"])
@virtual_time
async def test_opening_goes_on_under_the_first_hello(words: str) -> None:
    async with calling(opening_message=STORY) as call:
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(0.8)
        call.caller.say(words)
        await asyncio.sleep(0.3)
        assert call.room.is_playing
        await call.lines(2)
        assert call.said("bot") == [STORY]
        assert call.llm.asked == []


@pytest.mark.parametrize("words", ["Wrong number", "I want to cancel my visit"])
@virtual_time
async def test_opening_is_cut_off_by_what_matters(words: str) -> None:
    async with calling("I see.", opening_message=STORY) as call:
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(0.8)
        call.caller.say(words)
        await call.lines(3)
        assert call.said("bot")[0] != STORY
        assert call.llm.asked == [words]


@virtual_time
async def test_opening_is_a_line_like_any_other_where_the_bot_wants_it_so() -> None:
    async with calling(
        "Yes?", opening_message=STORY, manners={"opening": {"enabled": False}}
    ) as call:
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(0.8)
        call.caller.say("Hello?")
        await call.lines(3)
        assert call.llm.asked == ["Hello?"]


@virtual_time
async def test_opening_plays_on_under_a_voice_and_other_lines_pause() -> None:
    vad = ScriptedVAD()
    async with running(Call(ScriptedEngines(STORY, vad=vad), opening_message=STORY)) as call:
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(0.5)
        vad.begin()
        await asyncio.sleep(1)
        assert call.room.is_playing
        vad.end()
        await call.lines(1)
        call.caller.say("When are you open?")
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(0.5)
        vad.begin()
        await asyncio.sleep(0.2)
        assert not call.room.is_playing
        vad.end()
        await asyncio.sleep(1)
        assert call.room.is_playing


@pytest.mark.parametrize("words", ["Hello?", "haan ji"])
@virtual_time
async def test_hello_of_somebody_who_picks_up_does_not_cut_the_opening_off(words: str) -> None:
    async with calling(opening_message=STORY) as call:
        # Begun before anything of the opening was heard.
        call.caller.begin()
        await asyncio.sleep(0.5)
        call.caller.interim(words)
        call.caller.final(words)
        await call.lines(2)
        assert call.said("bot") == [STORY]
        assert call.said("customer") == [words]
        assert call.llm.asked == []


@virtual_time
async def test_opening_is_said_though_there_is_noise_from_the_first_moment_on() -> None:
    vad = ScriptedVAD()
    call = Call(ScriptedEngines(vad=vad), opening_message=STORY)
    async with running(call, answer=False):
        vad.begin()
        await asyncio.sleep(1)
        call.room.answer()
        call.answered.set()
        answered_at = call.now()
        await call.until(lambda: call.room.is_playing)
        assert call.now() - answered_at < 4.5
        await call.lines(1)
        assert call.said("bot") == [STORY]


@virtual_time
async def test_question_of_the_opening_may_be_answered_while_it_ends() -> None:
    opening = "Good morning from the clinic. Am I speaking with Asha?"
    async with calling("It is about your visit.", opening_message=opening) as call:
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(len(opening) / CHARS_PER_S - 0.5)
        call.caller.say("haan ji")
        await call.lines(3)
        assert call.transcript()[:2] == [("bot", opening), ("customer", "haan ji")]
        assert call.llm.asked == ["haan ji"]


@virtual_time
async def test_somebody_who_speaks_first_to_a_bot_without_an_opening_is_answered() -> None:
    async with calling("Yes?", opening_message="") as call:
        await asyncio.sleep(1)
        call.caller.say("Hello?")
        await call.lines(2)
        assert call.llm.asked == ["Hello?"]


@virtual_time
async def test_opening_that_nobody_heard_is_over_all_the_same() -> None:
    async with calling("Which one?", "Yes?", opening_message=STORY) as call:
        call.caller.say("I want to cancel my visit")
        await call.until(lambda: len(call.llm.asked) == 1)
        await call.until(lambda: "Which one?" in call.said("bot"))
        call.caller.say("Hello?")
        await call.until(lambda: len(call.llm.asked) == 2)
