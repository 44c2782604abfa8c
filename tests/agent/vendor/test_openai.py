"""OpenAI through its plug-in: what is on the wire, what comes back, and how it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, llm
from livekit.agents.llm import function_tool

from agent.vendor.openai import openai_llm
from contracts.engines import LlmConfig, PromptParts
from tests.agent.vendor.proof import AS_GIVEN, Proof, in_body, in_header, in_path
from tests.fakes.vendors.script import Fault, Reply, ToolCall, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer

ONCE = APIConnectOptions(max_retry=0, timeout=2.0)
FAST = VendorScript(llm_first_token_ms=5, llm_token_ms=1)


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    async with VendorServer(FAST.model_copy(deep=True)) as running:
        yield running


def fields(vendors: VendorServer) -> dict[str, Any]:
    return {
        "provider": "openai",
        "api_key": "oa-key",
        "model": "gpt-4.1-mini",
        "base_url": vendors.openai,
    }


SCHEMA = {
    "name": "book",
    "description": "Book a visit.",
    "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
}


def booking() -> llm.Tool:
    async def book(raw_arguments: dict[str, object]) -> None: ...

    return function_tool(book, raw_schema=SCHEMA)


async def answer(
    vendors: VendorServer,
    extra: dict[str, Any] | None = None,
    *,
    prompt: PromptParts | None = None,
    tools: list[llm.Tool] | None = None,
    **config: Any,
) -> llm.CollectedResponse:
    """Ask one question and return the whole answer."""
    settings = {**fields(vendors), "extra": extra or {}, **config}
    return await ask(openai_llm(LlmConfig(**settings), prompt), tools)


async def ask(model: llm.LLM[Any], tools: list[llm.Tool] | None = None) -> llm.CollectedResponse:
    """Ask a model one question; close it."""
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


CACHED = {"prompt_parts.mode": "direct", "prompt_parts.cache_enabled": True}
PROOFS = [
    Proof("openai", "llm.api_key", "oa-other", *in_header("Authorization", "Bearer oa-other")),
    Proof("openai", "llm.base_url", AS_GIVEN, *in_path("/v1/chat/completions")),
    Proof("openai", "llm.model", "gpt-4.1", *in_body("model", "gpt-4.1")),
    Proof("openai", "llm.temperature", 0.2, *in_body("temperature", 0.2)),
    # Where there is no `base_url`, OpenAI itself is asked by the newer name: see below.
    Proof("openai", "llm.max_tokens", 99, *in_body("max_tokens", 99)),
    *(
        Proof("openai", f"llm.extra.{name}", value, *in_body(name, value))
        for name, value in (
            ("top_p", 0.9),
            ("frequency_penalty", 0.5),
            ("presence_penalty", -0.5),
            ("seed", 7),
            ("reasoning_effort", "low"),
            ("service_tier", "priority"),
            ("parallel_tool_calls", False),
            ("top_k", 40),
            # What vLLM and Ollama take beside.
            ("min_p", 0.1),
            ("repetition_penalty", 1.1),
            ("chat_template_kwargs", {"enable_thinking": False}),
            ("keep_alive", "10m"),
        )
    ),
    Proof(
        "openai",
        "prompt_parts.prompt_cache_key",
        "bot-7",
        *in_body("prompt_cache_key", "bot-7"),
        CACHED,
    ),
    Proof(
        "openai",
        "prompt_parts.prompt_cache_retention",
        "24h",
        *in_body("prompt_cache_retention", "24h"),
        CACHED,
    ),
]


@pytest.mark.parametrize("proof", PROOFS, ids=str)
async def test_field_is_on_the_wire(vendors: VendorServer, proof: Proof) -> None:
    bot = proof.bot({"llm": fields(vendors)})
    await ask(openai_llm(bot.llm, bot.prompt_parts), [booking()])
    [request] = vendors.journal.of(Vendor.LLM)
    assert proof.holds(request), proof.wire


async def test_server_of_ones_own_needs_no_key(vendors: VendorServer) -> None:
    answered = await answer(vendors, api_key="", model="llama3.2:3b")
    assert answered.text.startswith("Sure")
    [request] = vendors.journal.of(Vendor.LLM)
    assert request.headers["Authorization"] == "Bearer none"
    assert request.body["max_tokens"] == 256
    assert "max_completion_tokens" not in request.body


async def test_what_is_not_set_is_not_sent(vendors: VendorServer) -> None:
    await answer(vendors)
    unset = {"top_p", "frequency_penalty", "presence_penalty", "seed", "prompt_cache_key"}
    assert not unset & set(body(vendors))


async def test_prompt_cache_is_not_asked_for_while_the_parts_are_not_live(
    vendors: VendorServer,
) -> None:
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
    call = ToolCall(name="book", arguments={"day": "Monday"})
    vendors.script.replies = [Reply(text="One moment.", tool_calls=[call])]
    answered = await answer(vendors, tools=[booking()])
    assert [(each.name, each.arguments) for each in answered.tool_calls] == [
        ("book", '{"day": "Monday"}')
    ]
    assert answered.text == "One moment."
    assert body(vendors)["tools"] == [{"type": "function", "function": SCHEMA}]


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
