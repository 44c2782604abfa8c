"""A brain of several, in virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from livekit.agents import (
    APIConnectionError,
    APIConnectOptions,
    APIStatusError,
    llm,
)
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

from agent.failure import EnginesLost
from agent.fallback.line_up import LineUp, Switched
from agent.fallback.llm import FallbackLLM
from agent.speech.rules import RulesLLM
from contracts.rules import RulesConfig
from tests.fakes.virtual_time import virtual_time

Step = str | float | Exception | llm.FunctionToolCall
"""Text, a wait in seconds, a failure, or a tool."""
BOOK = llm.FunctionToolCall(name="book", arguments="{}", call_id="call_1")
RESET = APIConnectionError("reset")
FOR_EVER = 1e6


class Brain(llm.LLM[Any]):
    """Does the same at each question, and keeps what it was asked."""

    def __init__(self, *steps: Step) -> None:
        super().__init__()
        self.steps = steps
        self.asked: list[list[tuple[str, str]]] = []
        self.is_closed = False

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        messages = [item for item in chat_ctx.items if isinstance(item, llm.ChatMessage)]
        self.asked.append([(each.role, each.text_content or "") for each in messages])
        return _Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    async def aclose(self) -> None:
        await super().aclose()
        self.is_closed = True


class _Stream(llm.LLMStream):
    async def _run(self) -> None:
        assert isinstance(self._llm, Brain)
        for step in self._llm.steps:
            match step:
                case str():
                    self._send(llm.ChoiceDelta(role="assistant", content=step))
                case float() | int():
                    await asyncio.sleep(step)
                case Exception():
                    raise step
                case llm.FunctionToolCall():
                    self._send(llm.ChoiceDelta(role="assistant", tool_calls=[step]))

    def _send(self, delta: llm.ChoiceDelta) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id="chunk", delta=delta))


class Asked:
    """One question to a line-up, and its answer."""

    def __init__(self, *brains: llm.LLM[Any]) -> None:
        names = "abcde"
        self.line_up: LineUp[llm.LLM[Any]] = LineUp(
            "llm", list(zip(names, brains, strict=False)), cool_down_s=30
        )
        self.told: list[Switched] = []
        self.line_up.listener = self.told.append
        self.engine = FallbackLLM(self.line_up, first_token_s=2.5)
        self.took_s = 0.0

    async def ask(self, context: llm.ChatContext | None = None) -> llm.CollectedResponse:
        if context is None:
            context = llm.ChatContext.empty()
            context.add_message(role="user", content="When is it?")
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            return await self.engine.chat(chat_ctx=context).collect()
        finally:
            self.took_s = loop.time() - began


@virtual_time
async def test_silent_brain_is_left_at_the_deadline_within_the_turn() -> None:
    asked = Asked(Brain(FOR_EVER), Brain(0.2, "On Monday."))
    assert (await asked.ask()).text == "On Monday."
    assert asked.took_s == pytest.approx(2.7)
    assert [(each.left, each.taken, each.after_ms) for each in asked.told] == [("a", "b", 2500)]
    await asked.ask()
    assert asked.took_s == pytest.approx(0.2), "the silent one is passed over"


@pytest.mark.parametrize(
    "error",
    [
        RESET,
        APIStatusError("no", status_code=401),
        APIStatusError("slow", status_code=429),
        KeyError(),
    ],
)
def test_brain_that_fails_is_left_at_once(error: Exception) -> None:
    @virtual_time
    async def run() -> None:
        asked = Asked(Brain(error), Brain("On Monday."))
        assert (await asked.ask()).text == "On Monday."
        assert asked.took_s < 0.01

    run()


@virtual_time
async def test_answer_that_breaks_off_is_ended_by_the_next_without_a_repetition() -> None:
    second = Brain("Your booking", " is on", " Monday.")
    asked = Asked(Brain("Your booking", " is", RESET), second)
    assert (await asked.ask()).text == "Your booking is on Monday."
    [messages] = second.asked
    assert messages[:2] == [("user", "When is it?"), ("assistant", "Your booking is")]
    assert "Do not repeat" in messages[2][1]


@virtual_time
async def test_answer_that_stalls_is_ended_by_the_next() -> None:
    asked = Asked(Brain("Your booking", FOR_EVER), Brain(" is on Monday."))
    assert (await asked.ask()).text == "Your booking is on Monday."
    assert asked.took_s == pytest.approx(2.5)


@virtual_time
async def test_slow_drip_is_an_answer() -> None:
    asked = Asked(Brain("One", 2.0, " two", 2.0, " three."), Brain("Never."))
    assert (await asked.ask()).text == "One two three."
    assert asked.told == []


@virtual_time
async def test_tool_is_never_called_twice() -> None:
    second = Brain(BOOK)
    asked = Asked(Brain("One moment.", BOOK, RESET), second)
    answer = await asked.ask()
    assert (answer.text, len(answer.tool_calls)) == ("One moment.", 1)
    assert second.asked == []
    assert asked.line_up.members[0].failures == 1


@virtual_time
async def test_tool_call_is_a_useful_token() -> None:
    asked = Asked(Brain(FOR_EVER), Brain(BOOK))
    assert [each.name for each in (await asked.ask()).tool_calls] == ["book"]


@virtual_time
async def test_empty_answer_to_a_caller_is_none() -> None:
    asked = Asked(Brain(), Brain("On Monday."))
    assert (await asked.ask()).text == "On Monday."


@virtual_time
async def test_of_what_a_tool_returned_nothing_need_be_said() -> None:
    context = llm.ChatContext.empty()
    context.items.append(
        llm.FunctionCallOutput(name="book", call_id="call_1", output="booked", is_error=False)
    )
    asked = Asked(Brain(), Brain("Never."))
    assert (await asked.ask(context)).text == ""


@virtual_time
async def test_last_brain_has_twice_the_time_and_then_all_is_lost() -> None:
    asked = Asked(Brain(FOR_EVER), Brain(FOR_EVER))
    with pytest.raises(EnginesLost, match="Brain gave nothing for 5 s"):
        await asked.ask()
    assert asked.took_s == pytest.approx(7.5)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_all_together_keep_nobody_waiting_longer_than_eight_seconds(count: int) -> None:
    @virtual_time
    async def run() -> None:
        brains = [Brain(FOR_EVER) for _ in range(count)]
        asked = Asked(*brains)
        with pytest.raises(EnginesLost, match="Brain gave nothing for"):
            await asked.ask()
        assert 7.4 < asked.took_s < 8.01
        assert all(len(each.asked) == 1 for each in brains)

    run()


@virtual_time
async def test_longer_deadline_is_given_twice_in_all() -> None:
    asked = Asked(Brain(FOR_EVER), Brain(9.0, "On Monday."))
    asked.engine.first_token_s = 10.0
    assert (await asked.ask()).text == "On Monday."
    assert asked.took_s == pytest.approx(19)


@virtual_time
async def test_answer_that_came_late_may_pause_like_any_other() -> None:
    silent = [Brain(FOR_EVER) for _ in range(4)]
    asked = Asked(*silent, Brain(0.4, "It is", 4.0, " on Monday."))
    assert (await asked.ask()).text == "It is on Monday."
    assert asked.took_s == pytest.approx(7.5 + 0.4 + 4.0)


@virtual_time
async def test_lone_brain_is_asked_a_second_time() -> None:
    asked = Asked(Brain(RESET))
    with pytest.raises(EnginesLost, match="Brain lost the connection"):
        await asked.ask()
    assert asked.took_s == pytest.approx(0.3)
    assert [(each.left, each.taken) for each in asked.told] == [("a", "a")]


@virtual_time
async def test_rules_answer_callers_but_end_no_other_brains_answer() -> None:
    rules = RulesLLM(RulesConfig(), variables={}, timezone="UTC", now=lambda: datetime.now(UTC))
    asked = Asked(Brain(RESET), rules)
    assert (await asked.ask()).text
    broken = Asked(Brain("Your booking is", RESET), rules)
    assert (await broken.ask()).text == "Your booking is"


@virtual_time
async def test_question_that_is_withdrawn_is_no_failure() -> None:
    asked = Asked(Brain(FOR_EVER), Brain("On Monday."))
    asking = asyncio.create_task(asked.ask())
    await asyncio.sleep(1)
    asking.cancel()
    await asyncio.wait({asking})
    assert asked.line_up.members[0].failures == 0


@virtual_time
async def test_all_are_closed_and_the_one_asked_is_named() -> None:
    brains = Brain("Yes."), Brain("No.")
    asked = Asked(*brains)
    assert asked.engine.model == brains[0].model
    await asked.engine.aclose()
    assert all(each.is_closed for each in brains)
