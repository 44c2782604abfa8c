"""Turns whose end the recogniser tells, as Flux and Soniox do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fakes.engines import Kind, ScriptedEngines, ScriptedVAD, event
from tests.fakes.spoken_call import Call, calling, running
from tests.fakes.virtual_time import virtual_time

STORY = "We are open from nine to five on every day of the week but Sunday, and in summer too."
EARLY: dict[str, Any] = {
    "llm": {"provider": "openai", "api_key": "k", "model": "m"},
    "turn": {"preemptive": True},
}
POLITE: dict[str, Any] = {
    "stt": {"provider": "deepgram_flux", "api_key": "k", "extra": {"should_interrupt": False}}
}


def eager_end(call: Call, text: str) -> None:
    """What becomes of Flux's `EagerEndOfTurn`."""
    call.caller.script.put_nowait(event(Kind.PREFLIGHT_TRANSCRIPT, text))


@virtual_time
async def test_silence_ends_no_turn_that_the_recogniser_takes_for_open() -> None:
    ears = ScriptedVAD()
    call = Call(ScriptedEngines("At nine.", vad=ears))
    async with running(call):
        await call.lines(1)
        ears.begin()
        call.caller.begin()
        call.caller.interim("When are you")
        await asyncio.sleep(0.5)
        ears.end()
        await asyncio.sleep(2)
        assert call.llm.asked == []
        ended_at = call.now()
        call.caller.final("When are you open?")
        await call.until(lambda: call.room.is_playing)
        assert call.now() - ended_at < 0.1
        assert call.llm.asked == ["When are you open?"]


@virtual_time
async def test_answer_is_begun_at_an_eager_end_where_the_bot_allows_it() -> None:
    async with calling("At nine.", **EARLY) as call:
        await call.lines(1)
        call.llm.delay_s = 0.6
        call.caller.begin()
        eager_end(call, "When are you open?")
        await asyncio.sleep(0.5)
        assert call.llm.asked == ["When are you open?"]
        assert not call.room.is_playing
        ended_at = call.now()
        call.caller.final("When are you open?")
        await call.until(lambda: call.room.is_playing)
        assert call.now() - ended_at < 0.2
        await call.lines(3)
        assert call.llm.asked == ["When are you open?"]


@virtual_time
async def test_answer_begun_too_early_is_thrown_away_when_the_turn_goes_on() -> None:
    async with calling("At nine.", "Not on Sundays.", **EARLY) as call:
        await call.lines(1)
        call.caller.begin()
        eager_end(call, "When are you open")
        await asyncio.sleep(0.5)
        call.caller.interim("When are you open on Sundays")
        await asyncio.sleep(0.5)
        call.caller.final("When are you open on Sundays?")
        await call.lines(3)
        assert call.said("bot")[-1] == "Not on Sundays."
        assert call.llm.asked[-1] == "When are you open on Sundays?"


@virtual_time
async def test_no_answer_is_begun_where_the_bot_does_not_allow_it() -> None:
    async with calling("At nine.") as call:
        await call.lines(1)
        call.caller.begin()
        eager_end(call, "When are you open?")
        await asyncio.sleep(0.5)
        assert call.llm.asked == []


@pytest.mark.parametrize(
    ("config", "is_heard_out"), [({}, False), (POLITE, True)], ids=["usual", "should_interrupt off"]
)
@virtual_time
async def test_what_is_said_over_the_bot_waits_where_turns_do_not_interrupt(
    config: dict[str, Any], is_heard_out: bool
) -> None:
    ears = ScriptedVAD()
    call = Call(ScriptedEngines(STORY, "Yes, it is closed.", vad=ears), **config)
    async with running(call):
        await call.lines(1)
        call.caller.say("When are you open?")
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(1.5)
        ears.begin()
        call.caller.begin()
        await asyncio.sleep(0.3)
        assert call.room.is_playing is is_heard_out
        call.caller.final("Are you closed on Sundays")
        ears.end()
        await call.lines(5)
        assert (call.said("bot")[1] == STORY) is is_heard_out
        assert call.said("bot")[-1] == "Yes, it is closed."
        assert call.llm.asked[-1] == "Are you closed on Sundays"


@virtual_time
async def test_a_good_reason_interrupts_even_so() -> None:
    call = Call(ScriptedEngines(STORY, "I see."), **POLITE)
    async with running(call):
        await call.lines(1)
        call.caller.say("When are you open?")
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(1.5)
        call.caller.say("Wrong number")
        await call.lines(5)
        assert call.said("bot")[1] != STORY


@virtual_time
async def test_noise_on_the_line_that_the_recogniser_takes_for_none_ends_no_call() -> None:
    ears = ScriptedVAD()
    call = Call(ScriptedEngines("At nine.", vad=ears), dead_air_seconds=60)
    async with running(call):
        await call.lines(1)
        for _ in range(4):
            ears.begin()
            call.caller.begin()
            call.caller.interim("Shh")
            await asyncio.sleep(1)
            ears.end()
            call.caller.final("")
            await asyncio.sleep(5)
        assert call.running is not None
        assert not call.running.done()
        call.caller.say("When are you open?")
        await call.lines(3)
        assert call.said("bot")[-1] == "At nine."
