"""A bot's own tools in whole conversations: what is heard meanwhile, and who cuts in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from agent.http_request import ToolRequest
from agent.speech.rules import RulesLLM
from agent.web import Answer, AskFailed, Failure, Web
from contracts.outcome import Reason
from contracts.report import IntentFound, ToolCalled
from contracts.rules import RulesConfig
from sidecar.client import EgressGuard
from tests.agent.test_conversation_realtime import RealtimeCall
from tests.fakes.engines import ScriptedEngines
from tests.fakes.realtime import RealtimeEngines
from tests.fakes.spoken_call import GREETING, Call, running
from tests.fakes.virtual_time import virtual_time

MOMENT = "One moment, I am looking that up."
ASK = ("", "find_order", '{"id": "7"}')


class SlowWeb(Web):
    """Answers in virtual time."""

    def __init__(self, after_s: float, *, fails: bool = False) -> None:
        super().__init__(EgressGuard(allow_private=False))
        self.asked: list[ToolRequest] = []
        self.finished = 0
        self._after_s = after_s
        self._fails = fails

    async def ask(self, request: ToolRequest, timeout_s: float) -> Answer:
        self.asked.append(request)
        await asyncio.sleep(min(self._after_s, timeout_s))
        self.finished += 1
        if self._fails or self._after_s > timeout_s:
            raise AskFailed(Failure.TIMEOUT, is_sent=True)
        return Answer(200, "application/json", b'{"status": "shipped"}')


@asynccontextmanager
async def calling(
    *replies: str | tuple[str, str, str], web: SlowWeb, **tool: Any
) -> AsyncIterator[Call]:
    whole = {
        "name": "find_order",
        "url": "https://shop.example/orders/{{args.id}}",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
        **tool,
    }
    call = Call(ScriptedEngines(*replies), web=web, tools=[whole], llm={"provider": "openai"})
    async with running(call):
        yield call


def tools(call: Call) -> list[ToolCalled]:
    return [fact for fact in call.facts if isinstance(fact, ToolCalled)]


@virtual_time
async def test_line_is_heard_while_the_request_runs_and_the_answer_follows() -> None:
    web = SlowWeb(2.5)
    async with calling(ASK, "It is shipped.", web=web, pre_message=MOMENT) as call:
        await call.lines(1)
        call.caller.say("Where is my order?")
        began = call.now()
        await call.lines(4)
        assert call.said("bot") == [GREETING, MOMENT, "It is shipped."]
        # The line takes 1.65 s, the request 2.5: together no more than the longer one, about.
        assert call.now() - began < 5
        assert call.llm.asked[-1] == '{"status": "shipped"}'
        [called] = tools(call)
        assert called.result == {"status": "shipped"}
        assert len(web.asked) == 1


@virtual_time
async def test_request_that_times_out_is_told_to_the_model() -> None:
    web = SlowWeb(60)
    async with calling(ASK, "I could not find out.", web=web, timeout_s=20) as call:
        await call.lines(1)
        call.caller.say("Where is my order?")
        await call.lines(3)
        # A tool has a time-out of its own: nobody else ends the call meanwhile.
        assert call.said("bot")[-1] == "I could not find out."
        assert call.llm.asked[-1].startswith("The server did not answer within 20 seconds.")
        assert tools(call)[0].detail["failure"] == "timeout"


@virtual_time
async def test_caller_who_speaks_meanwhile_is_answered_and_nothing_is_asked_twice() -> None:
    web = SlowWeb(6)
    replies = (ASK, "I am still looking.", "It is shipped.")
    async with calling(*replies, web=web, pre_message=MOMENT) as call:
        await call.lines(1)
        call.caller.say("Where is my order?")
        await call.lines(3)
        call.caller.say("Hello, are you still there with me?")
        await call.until(lambda: "It is shipped." in call.said("bot"))
        assert call.said("bot") == [GREETING, MOMENT, "I am still looking.", "It is shipped."]
        assert (len(web.asked), web.finished) == (1, 1)


@virtual_time
async def test_caller_who_cuts_the_line_off_does_not_stop_the_request() -> None:
    web = SlowWeb(6)
    replies = (ASK, "Sure, go on.", "It is shipped.")
    async with calling(*replies, web=web, pre_message=MOMENT * 3) as call:
        await call.lines(1)
        call.caller.say("Where is my order?")
        await call.until(lambda: bool(web.asked) and call.room.is_playing)
        await asyncio.sleep(1)
        call.caller.say("No wait, I have another question first.")
        await call.until(lambda: "It is shipped." in call.said("bot"))
        assert call.said("bot")[-2:] == ["Sure, go on.", "It is shipped."]
        assert (len(web.asked), web.finished) == (1, 1)
        assert tools(call)[0].error is None


@virtual_time
async def test_answer_that_begins_before_the_tool_and_is_cut_does_not_stop_the_request() -> None:
    web = SlowWeb(4)
    lead_in = "Let me see, that should not take long at all, I am looking for your order now."
    replies = ((lead_in, *ASK[1:]), "Sure.", "It is shipped.")
    async with calling(*replies, web=web) as call:
        await call.lines(1)
        call.caller.say("Where is my order?")
        await call.until(lambda: bool(web.asked) and call.room.is_playing)
        await asyncio.sleep(1)
        call.caller.say("No wait, I have another question first.")
        await call.until(lambda: web.finished == 1)
        await call.until(lambda: "Sure." in call.said("bot"))
        assert len(web.asked) == 1
        # The model knows the result for what it says next.
        assert tools(call)[0].result == {"status": "shipped"}


@virtual_time
async def test_call_that_ends_lets_a_request_finish_for_a_while() -> None:
    web = SlowWeb(3)
    async with calling(ASK, web=web) as call:
        await call.lines(1)
        call.caller.say("Book it.")
        await call.until(lambda: bool(web.asked))
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        await call.ended()
        assert web.finished == 1
        assert tools(call)[0].error is None


@virtual_time
async def test_request_that_outlasts_the_call_is_told_as_cancelled() -> None:
    web = SlowWeb(30)
    async with calling(ASK, web=web, timeout_s=40) as call:
        await call.lines(1)
        call.caller.say("Book it.")
        await call.until(lambda: bool(web.asked))
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        await call.ended()
        assert web.finished == 0
        [called] = tools(call)
        assert (called.error or "").startswith(("cancelled", "The call ended first"))


@virtual_time
async def test_tool_that_is_an_intent_is_among_the_calls_intents() -> None:
    web = SlowWeb(0)
    async with calling(ASK, "Noted.", web=web, url="", is_intent=True) as call:
        await call.lines(1)
        call.caller.say("I want my money back.")
        await call.lines(3)
        found = [fact for fact in call.facts if isinstance(fact, IntentFound)]
        assert [(fact.name, fact.slots) for fact in found] == [("find_order", {"id": "7"})]


RULES = {
    "start": "order",
    "slots": {"number": {"type": "digits", "prompt": "Which order?", "min_digits": 1}},
    "flows": {
        "order": [
            {"ask": "number"},
            {"call": "find_order", "with": {"id": "{{slot.number}}"}, "into": "order"},
            {"end": "It is {{order.status}}. Goodbye."},
        ]
    },
    "tools": {"find_order": {"kind": "static", "result": {"status": "simulated"}}},
}


def ruled(web: SlowWeb) -> Call:
    scripted = ScriptedEngines()
    brain: Any = RulesLLM(
        RulesConfig.model_validate(RULES),
        variables={},
        timezone="UTC",
        now=lambda: datetime(2026, 6, 5, tzinfo=UTC),
    )
    scripted.llm = brain
    parameters = {"properties": {"id": {"type": "integer"}}, "required": ["id"]}
    tool = {"name": "find_order", "url": "https://shop.example/", "parameters": parameters}
    return Call(scripted, web=web, tools=[tool])


@virtual_time
async def test_rules_use_a_bots_own_tool_in_the_place_of_the_simulated_one() -> None:
    web = SlowWeb(1)
    async with running(ruled(web)) as call:
        await call.lines(1)
        call.caller.say("42")
        await call.ended()
        assert call.said("bot")[-1] == "It is shipped. Goodbye."
        assert [request.body for request in web.asked] == [b'{"id": 42}']


@virtual_time
async def test_rules_go_on_waiting_where_the_caller_asks_for_nothing_else() -> None:
    web = SlowWeb(6)
    async with running(ruled(web)) as call:
        await call.lines(1)
        call.caller.say("42")
        await call.until(lambda: bool(web.asked))
        await asyncio.sleep(1)
        call.caller.say("Hello?")
        await call.ended()
        assert call.said("bot")[1:] == ["One moment, I'm still on it.", "It is shipped. Goodbye."]
        assert len(web.asked) == 1


@virtual_time
async def test_rules_take_a_result_for_what_they_asked_last() -> None:
    web = SlowWeb(6)
    async with running(ruled(web)) as call:
        await call.lines(1)
        call.caller.say("42")
        await call.until(lambda: bool(web.asked))
        await asyncio.sleep(3)
        call.caller.say("Sorry, order 43")
        await call.until(lambda: web.finished == 1)
        assert call.said("bot")[-1] == "Okay."
        await call.ended()
        assert call.said("bot")[-1] == "It is shipped. Goodbye."
        assert [request.body for request in web.asked] == [b'{"id": 42}', b'{"id": 43}']
        assert web.finished == 2


@virtual_time
async def test_model_that_speaks_by_itself_uses_tools_alike() -> None:
    web = SlowWeb(2.5)
    found = {"name": "find_order", "url": "https://shop.example/", "pre_message": MOMENT}
    scripted = RealtimeEngines(ASK, "It is shipped.")
    call = RealtimeCall(scripted, web=web, tools=[{**found, "parameters": {"type": "object"}}])
    async with running(call):
        await call.lines(1)
        await call.speak("Where is my order?")
        await call.until(lambda: "It is shipped." in call.said("bot"))
        assert call.said("bot") == [GREETING, MOMENT, "It is shipped."]
        assert len(web.asked) == 1
        assert tools(call)[0].result == {"status": "shipped"}
