"""What a caller hears who waits for an answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit.agents import APIError

from agent.http_request import ToolRequest
from agent.web import Answer, Web
from contracts.ids import Channel
from contracts.outcome import Reason
from sidecar.client import EgressGuard
from tests.fakes.engines import Kind, ScriptedEngines, event
from tests.fakes.spoken_call import GREETING, Call, calling, running
from tests.fakes.virtual_time import virtual_time

WAITING = "One moment, please."
SECOND = "Let me see."


def fillers(call: Call) -> list[str]:
    return [notice.detail["text"] for notice in call.notices("filler")]


async def ask(call: Call, words: str = "When are you open?", delay_s: float = 5.0) -> float:
    """The caller asks something that takes long; return when."""
    call.llm.delay_s = delay_s
    call.caller.say(words)
    asked_at = call.now()
    await call.until(lambda: call.conversation._session.agent_state == "thinking")
    return asked_at


@virtual_time
async def test_long_wait_is_filled_and_the_filler_is_nobodys_answer() -> None:
    async with calling("At nine.", "I see.") as call:
        await call.lines(1)
        asked_at = await ask(call)
        await call.until(lambda: call.room.is_playing)
        assert 1.1 < call.now() - asked_at < 1.4
        await call.lines(3)
        assert fillers(call) == [WAITING]
        assert call.said("bot") == [GREETING, "At nine."]
        history = call.conversation._session.history.items
        assert WAITING not in str([getattr(item, "text_content", "") for item in history])


@virtual_time
async def test_answer_that_comes_soon_has_none_before_it() -> None:
    async with calling("At nine.") as call:
        await call.lines(1)
        await ask(call, delay_s=1.0)
        await call.lines(3)
        assert fillers(call) == []


@virtual_time
async def test_filler_is_cut_short_by_the_answer() -> None:
    async with calling("At nine.", manners={"filler": {"phrases": ["Wait " * 40]}}) as call:
        await call.lines(1)
        asked_at = await ask(call, delay_s=2.0)
        await call.lines(3)
        # The filler alone would have taken ten seconds.
        assert call.now() - asked_at < 3
        assert call.said("bot")[-1] == "At nine."


@virtual_time
async def test_each_wait_has_one_and_the_next_wait_another() -> None:
    async with calling("At nine.", "At ten.", "At six.") as call:
        await call.lines(1)
        for number, words in enumerate(("When is it Monday?", "And Sunday then?")):
            await ask(call, words, delay_s=4.0)
            await call.lines(3 + 2 * number)
        assert fillers(call) == [WAITING, SECOND]


@virtual_time
async def test_very_long_wait_has_so_many_and_no_more() -> None:
    config = {"filler": {"repeat_after_s": 3, "at_most": 2}}
    async with calling("At nine.", manners=config) as call:
        await call.lines(1)
        asked_at = await ask(call, delay_s=15.0)
        await call.until(lambda: len(fillers(call)) == 2)
        assert 4.1 < call.now() - asked_at < 4.4
        await call.lines(3)
        assert fillers(call) == [WAITING, SECOND]


@virtual_time
async def test_bot_may_wait_in_silence() -> None:
    async with calling("At nine.", manners={"filler": {"enabled": False}}) as call:
        await call.lines(1)
        await ask(call)
        await call.lines(3)
        assert fillers(call) == []


@virtual_time
async def test_bot_fills_waits_in_its_own_language() -> None:
    async with calling("नौ बजे।", tts={"language": "hi-IN"}) as call:
        await call.lines(1)
        await ask(call)
        await call.lines(3)
        assert fillers(call) == ["एक मिनट।"]


@virtual_time
async def test_filler_stops_for_the_caller_and_waits_anew() -> None:
    async with calling("At nine.", manners={"filler": {"phrases": ["Wait " * 40]}}) as call:
        await call.lines(1)
        await ask(call, delay_s=9.0)
        await call.until(lambda: call.room.is_playing)
        call.caller.begin()
        await asyncio.sleep(0.2)
        assert not call.room.is_playing
        await asyncio.sleep(2)
        assert not call.room.is_playing
        call.caller.interim("okay")
        call.caller.final("okay")
        await call.lines(4)
        assert call.said("bot")[-1] == "At nine."
        assert call.llm.asked == ["When are you open?"]


@virtual_time
async def test_nothing_is_said_into_a_hold() -> None:
    async with calling("At nine.") as call:
        await call.lines(1)
        await ask(call, delay_s=9.0)
        await asyncio.sleep(0.5)
        call.room.hold()
        await asyncio.sleep(5)
        assert fillers(call) == []
        assert not call.room.is_playing
        call.room.hold(False)
        await call.lines(3)
        assert call.said("bot")[-1] == "At nine."


@virtual_time
async def test_filler_that_a_hold_cuts_short_does_not_take_the_answer_along() -> None:
    async with calling("At nine.", manners={"filler": {"phrases": ["Wait " * 40]}}) as call:
        await call.lines(1)
        await ask(call, delay_s=4.0)
        await call.until(lambda: call.room.is_playing)
        call.room.hold()
        await asyncio.sleep(10)
        assert not call.room.is_playing
        call.room.hold(False)
        await call.lines(3)
        assert call.said("bot")[-1] == "At nine."


@virtual_time
async def test_greeting_is_not_waited_for_with_a_filler() -> None:
    async with calling("At nine.", answer=False) as call:
        await asyncio.sleep(30)
        call.room.answer()
        call.answered.set()
        await call.lines(1)
        assert fillers(call) == []


@virtual_time
async def test_voice_that_fails_at_the_filler_leaves_the_answer_alone() -> None:
    async with calling("At nine.") as call:
        await call.lines(1)
        call.tts.error = APIError("no voice", retryable=False)
        await ask(call, delay_s=4.0)
        await asyncio.sleep(3)
        call.tts.error = None
        await call.lines(3)
        assert fillers(call) == []
        assert call.said("bot")[-1] == "At nine."


@virtual_time
async def test_key_is_waited_for_like_a_word() -> None:
    async with calling("Nine to five.", channel=Channel.SIP) as call:
        await call.lines(1)
        call.llm.delay_s = 5.0
        call.room.press("1")
        await call.lines(3)
        assert fillers(call) == [WAITING]


@virtual_time
async def test_bot_follows_a_caller_into_another_language_where_it_may() -> None:
    async with calling("Ji.", "Yes.", manners={"language": {"mode": "switch"}}) as call:
        await call.lines(1)
        await ask(call, "mujhe kal ka appointment chahiye", delay_s=3.0)
        await call.lines(3)
        assert fillers(call) == ["एक मिनट।"]
        assert call.llm.told[-1].endswith("The caller speaks Hindi: answer in Hindi.")
        assert call.notices("language_changed")[0].detail == {"language": "hi"}
        call.caller.say("I would like to have it tomorrow")
        await call.lines(5)
        assert call.llm.told[-1].endswith("The caller speaks English: answer in English.")
        assert "Hindi" not in call.llm.told[-1]


@virtual_time
async def test_answer_that_was_begun_early_in_the_wrong_language_is_thrown_away() -> None:
    config: dict[str, Any] = {"manners": {"language": {"mode": "switch"}}}
    scripted = ScriptedEngines("Which day?", "Kaunsa din?")
    async with running(
        Call(scripted, turn={"preemptive": True}, llm={"provider": "openai"}, **config)
    ) as call:
        await call.lines(1)
        call.caller.begin()
        call.caller.script.put_nowait(
            event(Kind.PREFLIGHT_TRANSCRIPT, "mujhe kal ka appointment chahiye")
        )
        await call.until(lambda: len(call.llm.asked) == 1)
        call.caller.final("mujhe kal ka appointment chahiye")
        await call.lines(3)
        assert call.said("bot")[-1] == "Kaunsa din?"
        assert "Hindi" not in call.llm.told[0]
        assert call.llm.told[1].count("answer in Hindi") == 1


@virtual_time
async def test_bot_that_is_locked_is_told_so_once_and_for_all() -> None:
    async with calling(
        "Yes.", system_prompt="Be brief.", manners={"language": {"mode": "lock"}}
    ) as call:
        await call.lines(1)
        call.caller.say("mujhe kal ka appointment chahiye")
        await call.lines(3)
        assert call.llm.told == [
            "Be brief.\n\nAlways answer in English, whatever language the caller speaks."
        ]
        assert call.notices("language_changed") == []


@virtual_time
async def test_bot_that_is_free_is_told_nothing() -> None:
    async with calling("Yes.", system_prompt="Be brief.") as call:
        await call.lines(1)
        call.caller.say("mujhe kal ka appointment chahiye")
        await call.lines(3)
        assert call.llm.told == ["Be brief."]


@virtual_time
async def test_several_prompts_come_one_after_the_other_and_words_start_them_anew() -> None:
    engaging = {"messages": ["Hello?", "Anybody there?"], "after_seconds": 4}
    async with running(
        Call(ScriptedEngines("I see."), re_engagement=engaging, no_response_seconds=6)
    ) as call:
        await call.lines(2)
        call.caller.say("Just a little while longer")
        await call.lines(6)
        assert (await call.ended()).reason is Reason.DEAD_AIR
        assert call.said("bot") == [GREETING, "Hello?", "I see.", "Hello?", "Anybody there?"]


class SlowServer(Web):
    """Answers a bot's tool, in virtual time."""

    def __init__(self, after_s: float) -> None:
        super().__init__(EgressGuard(allow_private=False))
        self._after_s = after_s

    async def ask(self, request: ToolRequest, timeout_s: float) -> Answer:
        await asyncio.sleep(self._after_s)
        return Answer(200, "application/json", b'{"status": "shipped"}')


@pytest.mark.parametrize(
    ("pre_message", "expected_s"), [("", [1.2, 5.2]), ("I am looking that up.", [5.0])]
)
@virtual_time
async def test_what_a_tool_says_beforehand_takes_the_fillers_place(
    pre_message: str, expected_s: list[float]
) -> None:
    tool = {
        "name": "find_order",
        "url": "https://shop.example/orders",
        "pre_message": pre_message,
        "timeout_s": 20,
        "parameters": {"type": "object", "properties": {}},
    }
    scripted = ScriptedEngines(("", "find_order", "{}"), "It is shipped.")
    config = {"filler": {"repeat_after_s": 4}}
    call = Call(scripted, web=SlowServer(8.0), tools=[tool], manners=config)
    async with running(call):
        await call.lines(1)
        call.caller.say("Where is my order?")
        asked_at = call.now()
        said_s: list[float] = []
        while "It is shipped." not in call.said("bot"):
            await call.until(
                lambda: len(fillers(call)) > len(said_s) or "It is shipped." in call.said("bot")
            )
            if len(fillers(call)) > len(said_s):
                said_s.append(round(call.now() - asked_at, 1))
        assert said_s == pytest.approx(expected_s, abs=0.4)
