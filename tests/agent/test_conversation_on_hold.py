"""What becomes of a conversation whose line is held: nobody hears, and what is heard is music."""

from __future__ import annotations

import asyncio

from contracts.command import HangUp
from contracts.ids import HOLD_ATTRIBUTE, Channel
from contracts.outcome import Reason
from tests.fakes.engines import ScriptedEngines
from tests.fakes.spoken_call import GREETING, Call, calling, running
from tests.fakes.virtual_time import virtual_time

ENGAGING = {"messages": ["Are you there?"], "after_seconds": 5}


@virtual_time
async def test_silence_in_hold_is_nobodys_and_counts_anew_afterwards() -> None:
    async with calling(re_engagement=ENGAGING, no_response_seconds=7) as call:
        await call.lines(1)
        call.room.hold()
        await asyncio.sleep(300)
        assert call.said("bot") == [GREETING]
        call.room.hold(False)
        resumed = call.now()
        await call.lines(2)
        assert 5 <= call.now() - resumed < 7
        assert (await call.ended()).reason is Reason.NO_RESPONSE


@virtual_time
async def test_line_is_cut_where_the_hold_began() -> None:
    story = "This is a long story that goes on and on, " * 10
    async with calling(story) as call:
        await call.lines(1)
        call.caller.say("Tell me a story")
        await asyncio.sleep(3)
        call.room.hold()
        await call.lines(3)
        assert 0 < len(call.said("bot")[1]) < len(story) / 2
        assert not call.room.is_playing


@virtual_time
async def test_words_in_hold_are_not_heard() -> None:
    async with calling("Yes?", "I see.") as call:
        await call.lines(1)
        call.room.hold()
        await asyncio.sleep(2)
        heard = call.link.input._frames.qsize()
        await asyncio.sleep(10)
        assert call.link.input._frames.qsize() == heard == 0
        assert not call.conversation._session.input.audio_enabled
        call.room.hold(False)
        assert call.conversation._session.input.audio_enabled


@virtual_time
async def test_answer_made_in_hold_is_heard_once_the_caller_is_back() -> None:
    async with calling("We are open daily.") as call:
        await call.lines(1)
        call.caller.say("When are you open?")
        call.room.hold()
        await asyncio.sleep(60)
        assert call.said("bot") == [GREETING]
        assert not call.room.is_playing
        call.room.hold(False)
        await call.lines(3)
        assert call.said("bot") == [GREETING, "We are open daily."]


@virtual_time
async def test_greeting_waits_for_a_line_that_is_held() -> None:
    async with calling(answer=False) as call:
        call.room.hold()
        call.room.answer()
        call.answered.set()
        await asyncio.sleep(30)
        assert call.transcript() == []
        call.room.hold(False)
        await call.lines(1)
        assert call.said("bot") == [GREETING]


@virtual_time
async def test_agent_that_comes_into_a_held_call_knows_it() -> None:
    async with running(Call(ScriptedEngines(), held=True)) as call:
        await asyncio.sleep(30)
        assert call.transcript() == []
        assert not call.conversation._session.input.audio_enabled
        call.room.hold(False)
        await call.lines(1)
        assert call.said("bot") == [GREETING]


@virtual_time
async def test_longest_duration_goes_on_in_hold_and_nobody_is_told() -> None:
    async with calling(max_call_duration_seconds=20, closing_message="Time is up.") as call:
        await call.lines(1)
        call.room.hold()
        ending = await call.ended(25)
        assert ending.reason is Reason.MAX_DURATION
        assert call.said("bot") == [GREETING]
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_caller_who_hangs_up_in_hold_has_hung_up() -> None:
    async with calling() as call:
        await call.lines(1)
        call.room.hold()
        await asyncio.sleep(5)
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        assert (await call.ended(10)).reason is Reason.CALLER_HUNG_UP


@virtual_time
async def test_hold_told_twice_is_one_and_stands_in_the_recordings_time() -> None:
    async with calling() as call:
        await call.lines(1)
        call.room.hold()
        await asyncio.sleep(10)
        call.room.hold()
        call.room.hold(tell=False)
        await asyncio.sleep(10)
        call.room.hold(False)
        await asyncio.sleep(2)
        (began,) = call.notices("hold_began")
        (ended,) = call.notices("hold_ended")
        assert ended.detail["from_ms"] == began.detail["at_ms"]
        assert 19_900 < ended.detail["to_ms"] - ended.detail["from_ms"] < 20_100


@virtual_time
async def test_attribute_tells_of_a_hold_whose_news_was_missed() -> None:
    async with calling(re_engagement=ENGAGING) as call:
        await call.lines(1)
        call.room.hold(tell=False)
        await asyncio.sleep(60)
        assert call.said("bot") == [GREETING]
        call.room.hold(False, tell=False)
        await call.lines(2)


@virtual_time
async def test_attribute_that_lags_behind_the_news_changes_nothing() -> None:
    async with calling() as call:
        await call.lines(1)
        call.room.hold()
        await asyncio.sleep(0.3)
        call.room.hold(False)
        call.room.caller.attributes[HOLD_ATTRIBUTE] = "1"
        call.room.emit("participant_attributes_changed", {HOLD_ATTRIBUTE: "1"}, call.room.caller)
        await asyncio.sleep(0.1)
        call.room.hold(False, tell=False)
        await asyncio.sleep(5)
        assert len(call.notices("hold_began")) == len(call.notices("hold_ended")) == 1


@virtual_time
async def test_caller_who_is_back_is_welcomed_where_the_bot_has_words_for_it() -> None:
    async with calling(hold_resume_message="Welcome back.") as call:
        await call.lines(1)
        call.room.hold()
        await asyncio.sleep(5)
        call.room.hold(False)
        await call.lines(2)
        assert call.said("bot") == [GREETING, "Welcome back."]


@virtual_time
async def test_caller_who_is_back_is_left_to_speak_where_the_bot_has_none() -> None:
    async with calling() as call:
        await call.lines(1)
        call.room.hold()
        await asyncio.sleep(5)
        call.room.hold(False)
        await asyncio.sleep(3)
        assert call.said("bot") == [GREETING]


@virtual_time
async def test_keys_pressed_in_hold_are_nobodys() -> None:
    async with calling("Yes?", channel=Channel.SIP) as call:
        await call.lines(1)
        call.room.hold()
        call.room.press("12#")
        await asyncio.sleep(5)
        call.room.hold(False)
        await asyncio.sleep(5)
        assert call.llm.asked == []
