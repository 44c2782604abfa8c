"""OpenAI through its plug-in: what is on the wire, what comes back, and how it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, llm
from livekit.agents.llm import function_tool

from agent.vendor.openai import openai_llm
from contracts.bot import LlmConfig, PromptParts
from tests.fakes.vendors.script import Fault, Reply, ToolCall, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer

ONCE = APIConnectOptions(max_retry=0, timeout=2.0)
FAST = VendorScript(llm_first_token_ms=5, llm_token_ms=1)


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    async with VendorServer(FAST.model_copy(deep=True)) as running:
        yield running


async def answer(
    vendors: VendorServer,
    extra: dict[str, Any] | None = None,
    *,
    prompt: PromptParts | None = None,
    tools: list[llm.Tool] | None = None,
    **config: Any,
) -> llm.CollectedResponse:
    """Ask one question and return the whole answer."""
    fields = {"api_key": "oa-key", "model": "gpt-4.1-mini", "base_url": vendors.openai, **config}
    model = openai_llm(LlmConfig(provider="openai", extra=extra or {}, **fields), prompt)
    context = llm.ChatContext.empty()
    context.add_message(role="system", content="You are brief.")
    context.add_message(role="user", content="R4 T2 when is my booking")
    try:
        async with model.chat(chat_ctx=context, tools=tools, conn_options=ONCE) as stream:
            return await stream.collect()
    finally:
        await model.aclose()


def body(vendors: VendorServer) -> dict[str, Any]:
    [request] = vendors.journal.of(Vendor.LLM)
    return request.body


async def test_answer_is_streamed_and_its_tokens_counted(vendors: VendorServer) -> None:
    answered = await answer(vendors, temperature=0.2, max_tokens=99)
    assert answered.text.startswith("Sure R4T2, let me check that.")
    assert answered.usage is not None
    assert answered.usage.completion_tokens > 20
    [request] = vendors.journal.of(Vendor.LLM)
    assert request.headers["Authorization"] == "Bearer oa-key"
    sent = request.body
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("gpt-4.1-mini", 0.2, 99)
    assert sent["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_p", 0.9),
        ("frequency_penalty", 0.5),
        ("presence_penalty", -0.5),
        ("seed", 7),
        ("service_tier", "priority"),
        ("top_k", 40),
    ],
)
async def test_option_is_on_the_wire(vendors: VendorServer, name: str, value: Any) -> None:
    await answer(vendors, {name: value})
    assert body(vendors)[name] == value


async def test_what_is_not_set_is_not_sent(vendors: VendorServer) -> None:
    await answer(vendors)
    unset = {"top_p", "frequency_penalty", "presence_penalty", "seed", "prompt_cache_key"}
    assert not unset & set(body(vendors))


async def test_prompt_cache_is_asked_for_while_the_parts_are_live(vendors: VendorServer) -> None:
    parts = PromptParts(
        mode="direct", cache_enabled=True, prompt_cache_key="bot-7", prompt_cache_retention="24h"
    )
    await answer(vendors, prompt=parts)
    sent = body(vendors)
    assert (sent["prompt_cache_key"], sent["prompt_cache_retention"]) == ("bot-7", "24h")


async def test_prompt_cache_is_not_asked_for_otherwise(vendors: VendorServer) -> None:
    await answer(vendors, prompt=PromptParts(prompt_cache_key="bot-7"))
    assert "prompt_cache_key" not in body(vendors)


async def test_openai_itself_is_asked_in_its_newer_terms() -> None:
    model = openai_llm(
        LlmConfig(provider="openai", api_key="k", model="gpt-4.1", max_tokens=5), None
    )
    assert model._opts.max_completion_tokens == 5
    assert model.provider == "api.openai.com"
    await model.aclose()


async def test_tool_is_offered_as_written_and_its_call_comes_back(vendors: VendorServer) -> None:
    schema = {
        "name": "book",
        "description": "Book a visit.",
        "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
    }

    async def book(raw_arguments: dict[str, object]) -> None: ...

    call = ToolCall(name="book", arguments={"day": "Monday"})
    vendors.script.replies = [Reply(text="One moment.", tool_calls=[call])]
    answered = await answer(vendors, tools=[function_tool(book, raw_schema=schema)])
    assert [(each.name, each.arguments) for each in answered.tool_calls] == [
        ("book", '{"day": "Monday"}')
    ]
    assert answered.text == "One moment."
    assert body(vendors)["tools"] == [{"type": "function", "function": schema}]


async def test_wrong_key_is_an_error_that_is_not_tried_again(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.LLM: Fault(kind="http", status=401)}
    with pytest.raises(APIStatusError) as refused:
        await answer(vendors)
    assert (refused.value.status_code, refused.value.retryable) == (401, False)
    assert "oa-key" not in repr(refused.value) + repr(refused.value.__cause__)


@pytest.mark.parametrize("kind", ["reset", "garbage"])
async def test_broken_stream_is_an_error(vendors: VendorServer, kind: Any) -> None:
    vendors.script.faults = {Vendor.LLM: Fault(kind=kind)}
    with pytest.raises(APIConnectionError):
        await answer(vendors)
