"""What is said over the bot, and into its silence: each manner, and the setting that ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from contracts.report import TranscriptLine
from tests.fakes.engines import Kind, ScriptedEngines, ScriptedVAD, event
from tests.fakes.spoken_call import GREETING, Call, calling, running
from tests.fakes.virtual_time import virtual_time

STORY = "We are open from nine to five on every day of the week but Sunday, and in summer too."


@asynccontextmanager
async def telling(
    *then: str, line: str = STORY, vad: ScriptedVAD | None = None, **config: Any
) -> AsyncIterator[Call]:
    """A call whose bot has been telling a story for 1.5 s."""
    call = Call(ScriptedEngines(line, *then, vad=vad), **config)
    async with running(call):
        await call.lines(1)
        call.caller.say("When are you open?")
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(1.5)
        yield call


@pytest.mark.parametrize("final", ["", "..."])
@virtual_time
async def test_words_that_stopped_the_bot_are_answered_though_they_are_taken_back(
    final: str,
) -> None:
    async with telling("Stopped.") as call:
        call.caller.begin()
        call.caller.interim("Stop")
        call.caller.interim("Stop it")
        call.caller.final(final)
        await call.lines(5)
        assert call.llm.asked[-1] == "Stop it"
        assert call.said("bot")[-1] == "Stopped."


@pytest.mark.parametrize("words", ["hmm", "haan ji", "theek hai", "ठीक है", "Okay, okay."])
@virtual_time
async def test_bot_goes_on_under_a_listeners_noises(words: str) -> None:
    async with telling() as call:
        call.caller.say(words)
        await call.lines(4)
        assert call.said("bot")[-1] == STORY
        assert call.said("customer")[-1] == words
        assert call.llm.asked == ["When are you open?"]
        assert "backchannel" in call.noticed()


@virtual_time
async def test_bot_without_that_filter_is_cut_off_by_them() -> None:
    async with telling(
        "Yes?", min_words_interruption=1, manners={"backchannel": {"enabled": False}}
    ) as call:
        call.caller.say("hmm")
        await call.lines(5)
        assert call.said("bot")[1] != STORY
        assert call.llm.asked[-1] == "hmm"


@virtual_time
async def test_noise_is_no_turn_unless_it_answers_a_question() -> None:
    async with calling("I have booked it.", "Shall I book another?", "Booked.") as call:
        await call.lines(1)
        call.caller.say("Book it for me please")
        await call.lines(3)
        call.caller.say("theek hai")
        await asyncio.sleep(3)
        assert len(call.llm.asked) == 1
        call.caller.say("And for Asha")
        await call.lines(6)
        call.caller.say("haan")
        await call.lines(8)
        assert call.llm.asked[1:] == ["And for Asha", "haan"]
        assert call.said("customer")[1] == "theek hai"


@virtual_time
async def test_bot_without_that_filter_answers_every_noise() -> None:
    off = {"backchannel": {"enabled": False}}
    async with calling("I have booked it.", "Anything else?", manners=off) as call:
        await call.lines(1)
        call.caller.say("Book it for me please")
        await call.lines(3)
        call.caller.say("theek hai")
        await call.lines(5)
        assert call.said("bot")[-1] == "Anything else?"


@virtual_time
async def test_answer_to_a_question_amid_the_line_is_taken_up() -> None:
    line = "Shall I book it? It is free of charge, takes a minute, and you can cancel at any time."
    async with telling("Booked.", line=line) as call:
        call.caller.say("haan")
        await call.lines(5)
        assert call.llm.asked[-1] == "haan"
        assert line.startswith(call.said("bot")[1])
        assert call.said("bot")[1] != line


@pytest.mark.parametrize("words", ["Wrong number", "galat number", "agent", "पैसे दे दिए"])
@virtual_time
async def test_high_intent_cuts_the_bot_off_however_short(words: str) -> None:
    async with telling("I see.", min_words_interruption=8) as call:
        call.llm.delay_s = 1.0
        said_at = call.now()
        call.caller.say(words)
        await call.until(lambda: not call.room.is_playing)
        assert call.now() - said_at < 0.2
        await call.lines(5)
        assert call.llm.asked[-1] == words
        assert call.said("bot")[1] != STORY


@virtual_time
async def test_high_intent_is_like_other_words_where_the_bot_wants_it_so() -> None:
    async with telling(
        min_words_interruption=8, manners={"high_intent": {"enabled": False}}
    ) as call:
        call.caller.say("Wrong number")
        await call.lines(4)
        assert call.said("bot")[-1] == STORY


@virtual_time
async def test_partial_words_cut_the_bot_off_before_they_are_final() -> None:
    async with telling("On Sunday not.") as call:
        call.caller.begin()
        call.caller.interim("And")
        await asyncio.sleep(0.2)
        assert call.room.is_playing
        call.caller.interim("And on Sunday")
        await asyncio.sleep(0.1)
        assert not call.room.is_playing
        # The voice ends, and the recogniser takes its time: the bot stays silent.
        await asyncio.sleep(2)
        assert not call.room.is_playing
        call.caller.final("And on Sunday?")
        await call.lines(5)
        assert call.llm.asked[-1] == "And on Sunday?"


@virtual_time
async def test_partial_word_that_grows_harmless_changes_nothing() -> None:
    async with telling() as call:
        call.caller.begin()
        call.caller.interim("No")
        call.caller.interim("No prob")
        call.caller.final("No problem")
        await call.lines(4)
        assert call.said("bot")[-1] == STORY


@pytest.mark.parametrize("text", ["...", ".", "।"])
@virtual_time
async def test_full_stop_that_a_recogniser_writes_for_a_noise_is_no_word(text: str) -> None:
    async with telling(min_words_interruption=0) as call:
        call.caller.say(text)
        await call.lines(3)
        assert call.said("bot")[-1] == STORY
        call.caller.say(text)
        await asyncio.sleep(3)
        assert call.said("customer") == ["When are you open?"]
        assert call.llm.asked == ["When are you open?"]


@virtual_time
async def test_words_begun_before_the_bot_spoke_are_no_interruption_to_be_judged() -> None:
    async with calling("Nine to five.", "I see.") as call:
        await call.lines(1)
        call.caller.say("When are you open")
        call.caller.begin()
        await asyncio.sleep(0.5)
        call.caller.final("tomorrow")
        await call.until(lambda: len(call.llm.asked) == 2)
        assert "tomorrow" in call.llm.asked[-1]


@virtual_time
async def test_false_interruption_resumes_where_it_stood() -> None:
    vad = ScriptedVAD()
    async with telling(vad=vad, manners={"false_interruption": {"resume_after_s": 1.0}}) as call:
        vad.begin()
        await asyncio.sleep(0.5)
        assert not call.room.is_playing
        vad.end()
        await asyncio.sleep(0.9)
        assert not call.room.is_playing
        await asyncio.sleep(0.2)
        assert call.room.is_playing
        await call.lines(3)
        assert call.said("bot")[-1] == STORY
        assert "resumed" in call.noticed()


@virtual_time
async def test_any_voice_cuts_the_bot_off_where_it_wants_it_so() -> None:
    vad = ScriptedVAD()
    async with telling(vad=vad, manners={"false_interruption": {"enabled": False}}) as call:
        vad.begin()
        await asyncio.sleep(0.3)
        vad.end()
        await call.lines(3)
        assert call.said("bot")[-1] != STORY


@virtual_time
async def test_any_voice_cuts_off_nothing_that_is_guarded_or_was_not_heard() -> None:
    vad = ScriptedVAD()
    off = {"false_interruption": {"enabled": False}}
    call = Call(ScriptedEngines("At nine.", vad=vad), opening_message=STORY, manners=off)
    async with running(call):
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(1)
        vad.begin()
        await asyncio.sleep(0.3)
        vad.end()
        await call.lines(1)
        assert call.said("bot") == [STORY]
        call.llm.delay_s = 1.0
        call.caller.say("When are you open?")
        await asyncio.sleep(0.5)
        vad.begin()
        await asyncio.sleep(0.3)
        vad.end()
        await call.lines(3)
        assert call.said("bot")[-1] == "At nine."


@virtual_time
async def test_bot_does_not_wait_for_ever_for_a_voice_without_words() -> None:
    vad = ScriptedVAD()
    async with telling(vad=vad, manners={"false_interruption": {"longest_pause_s": 2.0}}) as call:
        vad.begin()
        await asyncio.sleep(1.9)
        assert not call.room.is_playing
        await asyncio.sleep(0.3)
        assert call.room.is_playing
        await call.lines(3)
        assert call.said("bot")[-1] == STORY
        assert "insisted" in call.noticed()


@virtual_time
async def test_noise_that_was_there_before_the_line_does_not_silence_the_bot() -> None:
    vad = ScriptedVAD()
    call = Call(ScriptedEngines(STORY, STORY, vad=vad))
    async with running(call):
        await call.lines(1)
        vad.begin()
        call.caller.say("When are you open?")
        await call.lines(3)
        call.caller.say("When are you open?")
        await call.lines(5)
        assert call.said("bot")[1:] == [STORY, STORY]
        assert call.noticed() == ["insisted", "insisted"]


@virtual_time
async def test_noise_that_the_recogniser_takes_for_speech_at_first_does_not_silence_the_bot() -> (
    None
):
    vad = ScriptedVAD()
    async with telling(vad=vad) as call:
        vad.begin()
        for _ in range(3):
            call.caller.begin()
            call.caller.interim("Shh")
            await asyncio.sleep(0.5)
            call.caller.final("")
            await asyncio.sleep(1)
        await call.lines(3)
        assert call.said("bot")[-1] == STORY


@virtual_time
async def test_words_over_a_line_that_was_played_on_are_judged() -> None:
    vad = ScriptedVAD()
    call = Call(ScriptedEngines(STORY, vad=vad))
    async with running(call):
        await call.lines(1)
        vad.begin()
        call.caller.say("When are you open?")
        await call.until(lambda: "insisted" in call.noticed())
        await asyncio.sleep(1)
        call.caller.say("okay")
        await call.lines(4)
        assert call.said("bot")[-1] == STORY


@virtual_time
async def test_bot_may_wait_as_long_as_there_is_a_voice() -> None:
    vad = ScriptedVAD()
    async with telling(vad=vad, manners={"false_interruption": {"longest_pause_s": 0}}) as call:
        vad.begin()
        await asyncio.sleep(20)
        assert not call.room.is_playing


async def cut_off(call: Call, times: int) -> None:
    """The caller cuts in on line after line."""
    for number in range(times):
        call.caller.say(f"But I want something else {number}")
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(1)


@virtual_time
async def test_bot_that_is_cut_off_in_a_row_gets_to_finish_and_then_answers() -> None:
    async with calling(STORY, STORY, STORY, "At nine.", "Yes, at nine.", STORY) as call:
        await call.lines(1)
        await cut_off(call, 4)
        assert "one short sentence" in call.llm.told[-1]
        assert "one short sentence" not in call.llm.told[-2]
        call.caller.say("That is not what I asked")
        await call.until(lambda: "Yes, at nine." in call.said("bot"))
        assert "At nine." in call.said("bot")
        assert call.llm.asked[-1] == "That is not what I asked"
        assert call.said("customer")[-1] == "That is not what I asked"
        call.caller.say("Tell me more of it")
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(1)
        call.caller.say("Enough of that now")
        await call.until(lambda: not call.room.is_playing)


@virtual_time
async def test_guarded_line_is_guarded_for_so_long_only() -> None:
    async with calling(STORY, STORY, manners={"loop": {"after": 1, "guard_s": 1.5}}) as call:
        await call.lines(1)
        await cut_off(call, 2)
        call.caller.say("That is not what I asked")
        await asyncio.sleep(0.3)
        assert call.room.is_playing
        await asyncio.sleep(1)
        call.caller.say("I asked something else")
        await call.until(lambda: len(call.llm.asked) == 4)
        assert "That is not what I asked" in call.said("customer")


@virtual_time
async def test_bot_may_be_cut_off_for_ever() -> None:
    async with calling(*[STORY] * 6, manners={"loop": {"enabled": False}}) as call:
        await call.lines(1)
        await cut_off(call, 5)
        assert len(call.llm.asked) == 5
        lines = [fact for fact in call.facts if isinstance(fact, TranscriptLine)]
        assert [line.interrupted for line in lines if line.speaker == "bot"] == [False] + [True] * 4
        assert call.said("bot")[0] == GREETING


@pytest.mark.parametrize(("words", "goes_on"), [("haan ji", True), ("Wrong number", False)])
@virtual_time
async def test_recogniser_that_ends_turns_itself_is_judged_alike(words: str, goes_on: bool) -> None:
    vad = ScriptedVAD()
    async with telling("Sorry.", vad=vad) as call:
        vad.begin()
        call.caller.begin()
        await asyncio.sleep(0.3)
        assert not call.room.is_playing
        # The vendor thinks that the turn may be over, and then is sure.
        call.caller.script.put_nowait(event(Kind.PREFLIGHT_TRANSCRIPT, words))
        await asyncio.sleep(0.2)
        vad.end()
        call.caller.final(words)
        if goes_on:
            await call.lines(4)
            assert call.said("bot")[-1] == STORY
            assert call.llm.asked == ["When are you open?"]
        else:
            await call.lines(5)
            assert call.said("bot")[-1] == "Sorry."
            assert call.llm.asked[-1] == words
