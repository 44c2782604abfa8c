"""The rules brain as a language model, in real sessions without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from livekit.agents import Agent, AgentSession, llm
from livekit.agents.llm import ToolError, ToolResult, function_tool
from livekit.agents.voice.run_result import RunResult

from agent.speech.rules import RulesLLM
from contracts.rules import RulesConfig
from tests.fakes.conversation import NOW

RULES = RulesConfig.model_validate(
    {
        "intents": [{"name": "order", "phrases": ["order a pizza"], "go": "order"}],
        "slots": {"day": {"type": "date", "prompt": "Which day?"}},
        "flows": {
            "order": [
                {"ask": "day"},
                {"say": "One moment.", "call": "place", "with": ["day"]},
                {"if": {"place.error": "failed"}, "end": "The oven is broken."},
                {"say": "It is {{place.state}}, {{call.name}}."},
            ]
        },
    }
)


def tool(name: str, output: Any) -> llm.Tool:
    async def run(raw_arguments: dict[str, object]) -> Any:
        if isinstance(output, ToolError):
            raise output
        return output

    schema = {"name": name, "description": "", "parameters": {"type": "object", "properties": {}}}
    return function_tool(run, raw_schema=schema)


def brain(**options: Any) -> RulesLLM:
    variables = {"call.name": "Alex"}
    return RulesLLM(
        RULES, variables=variables, timezone="America/New_York", now=lambda: NOW, **options
    )


@asynccontextmanager
async def session(model: RulesLLM, *tools: llm.Tool) -> AsyncIterator[AgentSession[None]]:
    async with AgentSession[None](llm=model) as running:
        await running.start(Agent(instructions="", tools=list(tools)))
        yield running


def said(result: RunResult[None]) -> list[str]:
    return [event.item.text_content or "" for event in result.events if event.type == "message"]


async def test_tool_calls_go_through_the_session() -> None:
    placed = tool("place", {"state": "placed"})
    async with session(brain(), placed) as running:
        assert said(await running.run(user_input="I want to order a pizza")) == ["Which day?"]
        result: RunResult[None] = await running.run(user_input="Tomorrow.")
    result.expect.next_event().is_message(role="assistant")
    result.expect.next_event().is_function_call(name="place", arguments={"day": "2026-04-28"})
    result.expect.next_event().is_function_call_output()
    assert said(result) == ["One moment.", "It is placed, Alex. How can I help you?"]


async def test_tool_that_raises_is_a_failed_tool() -> None:
    async with session(brain(), tool("place", ToolError("no oven")), tool("end_call", "")) as run:
        await run.run(user_input="order a pizza")
        result: RunResult[None] = await run.run(user_input="Tomorrow.")
    assert said(result)[-1] == "The oven is broken."


async def test_goodbye_is_said_before_the_call_ends() -> None:
    ended = tool("end_call", ToolResult("The call has ended.", reply_required=False))
    async with session(brain(), ended) as running:
        result: RunResult[None] = await running.run(user_input="Goodbye.")
    kinds = [event.type for event in result.events]
    assert kinds[:2] == ["message", "function_call"]
    assert said(result) == ["Thank you for calling. Goodbye."]


async def test_noise_gets_no_answer() -> None:
    async with session(brain()) as running:
        assert said(await running.run(user_input="You")) == []


def chat(*items: llm.ChatItem) -> llm.ChatContext:
    return llm.ChatContext(list(items))


def user(text: str) -> llm.ChatMessage:
    return llm.ChatMessage(role="user", content=[text])


def test_answer_prepared_in_advance_and_dropped_leaves_no_trace() -> None:
    model = brain()
    ordered, dropped, real = user("order a pizza"), user("Friday."), user("Tomorrow.")
    model.reply(chat(ordered), frozenset())
    model.reply(chat(ordered, dropped), frozenset({"place"}))
    reply = model.reply(chat(ordered, real), frozenset({"place"}))
    assert reply.tools[0].arguments == {"day": "2026-04-28"}


def test_being_asked_twice_gives_the_same_answer() -> None:
    model = brain()
    ordered = user("order a pizza")
    assert model.reply(chat(ordered), frozenset()).text == "Which day?"
    assert model.reply(chat(ordered), frozenset()).text == "Which day?"


def test_what_came_of_a_goodbye_that_was_cut_off_answers_nothing_in_the_callers_stead() -> None:
    model, ending = brain(), frozenset({"end_call"})
    first, then = user("Goodbye."), user("Wait. Order a pizza.")
    call = llm.FunctionCall(call_id="1", name="end_call", arguments="{}")
    cut = llm.FunctionCallOutput(call_id="1", name="end_call", output="Cut in.", is_error=False)
    assert model.reply(chat(first), ending).tools
    assert model.reply(chat(first, call, then, cut), ending).text == "Which day?"
    # Nor where the answer had been prepared before it was known.
    model.reply(chat(first, call, then), ending)
    assert model.reply(chat(first, call, then, cut), ending).text == "Which day?"


def test_what_came_of_a_tool_that_nobody_waits_for_is_no_turn() -> None:
    model = brain()
    first = user("Goodbye.")
    call = llm.FunctionCall(call_id="1", name="end_call", arguments="{}")
    done = llm.FunctionCallOutput(call_id="1", name="end_call", output="Done.", is_error=False)
    assert model.reply(chat(first), frozenset({"end_call"})).text
    assert model.reply(chat(first, call, done), frozenset({"end_call"})).text == ""


def test_new_brain_replays_a_transcript() -> None:
    """An agent that takes a call over has the history alone."""
    bot = llm.ChatMessage(role="assistant", content=["Which d"], interrupted=True)
    items = [user("order a pizza"), bot, user("Tomorrow.")]
    reply = brain().reply(chat(*items), frozenset({"place"}))
    assert reply.tools[0].name == "place"


def test_nothing_said_yet_is_answered_with_nothing() -> None:
    assert brain().reply(chat(), frozenset()).text == ""


def test_every_intent_is_reported_once() -> None:
    found: list[tuple[str, float, dict[str, Any]]] = []
    model = brain(on_intent=lambda *intent: found.append(intent))
    ordered = user("order a pizza tomorrow")
    for _ in range(2):
        model.reply(chat(ordered), frozenset({"place"}))
    assert found == [("order", 1.0, {"day": "2026-04-28"})]


def test_long_conversations_keep_a_bounded_number_of_states() -> None:
    model = brain()
    items: list[llm.ChatItem] = []
    for number in range(100):
        items.append(user(f"Hello? {number}"))
        model.reply(chat(*items), frozenset())
    assert len(model._states) <= 65
