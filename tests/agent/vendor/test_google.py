"""Google's models through the plug-in: what is on the wire, what comes back, and how it fails."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, llm
from livekit.agents.llm import function_tool

from agent.vendor.google import google_llm, vertex_llm, warm_up
from agent.vendor.prompt_cache import PromptCache
from contracts.bot import BotConfig
from tests.agent.vendor.proof import AS_GIVEN, Proof, Wire, in_body, in_header, in_path
from tests.fakes.vendors.gemini import THOUGHT_TOKENS
from tests.fakes.vendors.journal import Request
from tests.fakes.vendors.script import Fault, Reply, ToolCall, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer

ONCE = APIConnectOptions(max_retry=0, timeout=2.0)
FAST = VendorScript(llm_first_token_ms=5, llm_token_ms=1)
KEPT = "cachedContents/nova-7"
FULL_NAME = f"projects/nova/locations/us-central1/{KEPT}"
NAMES = {"google": KEPT, "google_vertex": FULL_NAME}
"""Of the kept prompt, as each is asked for it; Vertex AI takes the short name as well."""
MODEL_PATH = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
SCHEMA = {
    "name": "book",
    "description": "Book a visit.",
    "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
}


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    async with VendorServer(FAST.model_copy(deep=True)) as running:
        yield running


@cache
def account_key() -> str:
    """Return a service account's key as Google hands it out."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "somebody-elses",
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": "voice@nova.iam.gserviceaccount.com",
            # Nobody may be sent there.
            "token_uri": "http://127.0.0.1:9/token",
        }
    )


def fields(vendors: VendorServer, provider: str = "google") -> dict[str, Any]:
    shared = {"provider": provider, "model": "gemini-2.5-flash", "base_url": vendors.google}
    if provider == "google":
        return {**shared, "api_key": "go-key"}
    return {**shared, "api_key": "go-token", "extra": {"project_id": "nova"}}


def booking() -> llm.Tool:
    async def book(raw_arguments: dict[str, object]) -> None: ...

    return function_tool(book, raw_schema=SCHEMA)


async def ask(
    bot: BotConfig,
    *,
    tools: list[llm.Tool] | None = None,
    lost: list[int] | None = None,
    questions: int = 1,
) -> llm.CollectedResponse:
    """Ask a bot's model; return the last answer."""
    build = google_llm if bot.llm.provider == "google" else vertex_llm
    cache = PromptCache.of(bot.prompt_parts)
    if cache is not None and lost is not None:
        cache.on_lost = lost.append
    model = build(bot.llm, cache)
    context = llm.ChatContext.empty()
    context.add_message(role="system", content=bot.instructions or "You are brief.")
    context.add_message(role="user", content="R4 T2 when is my booking")
    try:
        for _ in range(questions):
            async with model.chat(chat_ctx=context, tools=tools, conn_options=ONCE) as stream:
                answered = await stream.collect()
        return answered
    finally:
        await model.aclose()


def bot(vendors: VendorServer, provider: str = "google", **llm_fields: Any) -> BotConfig:
    return BotConfig.model_validate({"llm": {**fields(vendors, provider), **llm_fields}})


def kept(vendors: VendorServer, provider: str = "google") -> BotConfig:
    """Return a bot whose prompt Google keeps."""
    parts = {
        "mode": "direct",
        "cache_enabled": True,
        "static_system_prompt": "You book visits.",
        "dynamic_runtime_prompt": "The caller is Asha.",
        "cached_content": KEPT,
    }
    return BotConfig.model_validate({"llm": fields(vendors, provider), "prompt_parts": parts})


def requests(vendors: VendorServer) -> list[Request]:
    return vendors.journal.of(Vendor.LLM)


def setting(name: str, value: Any) -> Wire:
    return in_body(f"generationConfig.{name}", value)


LIVE = {"prompt_parts.mode": "direct", "prompt_parts.cache_enabled": True}
HARM = {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}
SHARED: list[tuple[str, Any, Wire, dict[str, Any]]] = [
    ("llm.temperature", 0.2, setting("temperature", 0.2), {}),
    ("llm.max_tokens", 99, setting("maxOutputTokens", 99), {}),
    ("llm.extra.top_p", 0.9, setting("topP", 0.9), {}),
    ("llm.extra.top_k", 40, setting("topK", 40), {}),
    ("llm.extra.frequency_penalty", 0.5, setting("frequencyPenalty", 0.5), {}),
    ("llm.extra.presence_penalty", -0.5, setting("presencePenalty", -0.5), {}),
    ("llm.extra.seed", 7, setting("seed", 7), {}),
    (
        "llm.extra.thinking_budget",
        512,
        setting("thinkingConfig.thinking_budget", 512),
        {},
    ),
    (
        "llm.extra.thinking_level",
        "low",
        setting("thinkingConfig.thinking_level", "LOW"),
        {"llm.model": "gemini-3-flash"},
    ),
    ("llm.extra.safety_settings", [HARM], in_body("safetySettings.0", HARM), {}),
]
VERTEX_PATH = "/v1beta1/projects/{}/locations/{}/publishers/google/models/{}:streamGenerateContent"
VERTEX_MODEL = VERTEX_PATH.format("nova", "us-central1", "gemini-2.5-pro")
PROOFS = [
    Proof("google", "llm.api_key", "go-other", *in_header("x-goog-api-key", "go-other")),
    Proof("google", "llm.base_url", AS_GIVEN, *in_path(MODEL_PATH)),
    Proof(
        "google",
        "llm.model",
        "gemini-2.5-pro",
        *in_path("/v1beta/models/gemini-2.5-pro:streamGenerateContent"),
    ),
    Proof("google", "llm.extra.service_tier", "priority", *in_body("serviceTier", "priority")),
    Proof(
        "google_vertex", "llm.api_key", "go-other", *in_header("Authorization", "Bearer go-other")
    ),
    Proof(
        "google_vertex",
        "llm.base_url",
        AS_GIVEN,
        *in_path(VERTEX_PATH.format("nova", "us-central1", "gemini-2.5-flash")),
    ),
    Proof("google_vertex", "llm.model", "gemini-2.5-pro", *in_path(VERTEX_MODEL)),
    Proof(
        "google_vertex",
        "llm.extra.project_id",
        "asha-42",
        *in_path(VERTEX_PATH.format("asha-42", "us-central1", "gemini-2.5-flash")),
    ),
    Proof(
        "google_vertex",
        "llm.extra.location",
        "asia-south1",
        *in_path(VERTEX_PATH.format("nova", "asia-south1", "gemini-2.5-flash")),
    ),
    *(
        Proof(vendor, field, value, *wire, beside)
        for vendor in ("google", "google_vertex")
        for field, value, wire, beside in SHARED
    ),
    *(
        Proof(vendor, "prompt_parts.cached_content", KEPT, *in_body("cachedContent", name), LIVE)
        for vendor, name in NAMES.items()
    ),
]


@pytest.mark.parametrize("proof", PROOFS, ids=str)
async def test_field_is_on_the_wire(vendors: VendorServer, proof: Proof) -> None:
    vendors.script.llm_caches = list(NAMES.values())
    await ask(proof.bot({"llm": fields(vendors, proof.vendor)}), tools=[booking()])
    [request] = requests(vendors)
    assert proof.holds(request), proof.wire


@pytest.mark.parametrize("provider", ["google", "google_vertex"])
async def test_answer_is_streamed_and_its_tokens_counted(
    vendors: VendorServer, provider: str
) -> None:
    answered = await ask(bot(vendors, provider))
    assert answered.text.startswith("Sure R4T2, let me check that.")
    assert answered.usage is not None
    # What was thought is billed as what was said.
    assert answered.usage.completion_tokens > 20 + THOUGHT_TOKENS
    [request] = requests(vendors)
    assert request.body["systemInstruction"]["parts"] == [{"text": "You are brief."}]


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("gemini-2.5-flash", {"thinking_budget": 0}),
        ("gemini-2.5-flash-lite", {"thinking_budget": 0}),
        ("gemini-2.5-pro", {"thinking_budget": 128}),
        ("gemini-3-flash", {"thinking_level": "MINIMAL"}),
        ("gemini-3-pro", {"thinking_level": "LOW"}),
        ("gemini-2.0-flash", None),
    ],
)
async def test_model_thinks_as_little_as_it_can_unless_asked(
    vendors: VendorServer, model: str, thinking: dict[str, Any] | None
) -> None:
    await ask(bot(vendors, model=model))
    [request] = requests(vendors)
    sent = request.body["generationConfig"].get("thinkingConfig")
    assert sent == thinking


async def test_vendor_is_not_told_to_stop_a_long_answer(vendors: VendorServer) -> None:
    await ask(bot(vendors))
    [request] = requests(vendors)
    assert "X-Server-Timeout" not in request.headers


async def test_service_account_signs_for_itself(vendors: VendorServer) -> None:
    await ask(bot(vendors, "google_vertex", api_key=account_key()))
    [request] = requests(vendors)
    scheme, _, token = request.headers["Authorization"].partition(" ")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert scheme == "Bearer"
    assert claims["iss"] == claims["sub"] == "voice@nova.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


async def test_tool_is_offered_as_written_and_its_call_comes_back(vendors: VendorServer) -> None:
    call = ToolCall(name="book", arguments={"day": "Monday"})
    vendors.script.replies = [Reply(text="One moment.", tool_calls=[call])]
    answered = await ask(bot(vendors), tools=[booking()])
    assert [(each.name, json.loads(each.arguments)) for each in answered.tool_calls] == [
        ("book", {"day": "Monday"})
    ]
    assert answered.text == "One moment."
    [request] = requests(vendors)
    [declared] = request.body["tools"][0]["functionDeclarations"]
    assert declared["name"] == "book"
    assert declared["parameters_json_schema"] == SCHEMA["parameters"]


@pytest.mark.parametrize("provider", ["google", "google_vertex"])
async def test_kept_prompt_takes_the_place_of_instructions_and_tools(
    vendors: VendorServer, provider: str
) -> None:
    vendors.script.llm_caches = list(NAMES.values())
    lost: list[int] = []
    answered = await ask(kept(vendors, provider), tools=[booking()], lost=lost)
    [request] = requests(vendors)
    assert request.body["cachedContent"] == NAMES[provider]
    assert not {"systemInstruction", "tools", "toolConfig"} & request.body.keys()
    first, *_ = request.body["contents"]
    assert first["role"] == "user"
    assert first["parts"][0] == {"text": "The caller is Asha."}
    assert "You book visits." not in json.dumps(request.body)
    assert answered.usage is not None
    assert answered.usage.prompt_cached_tokens == 2048
    assert lost == []


@pytest.mark.parametrize(("provider", "status"), [("google", 403), ("google_vertex", 404)])
async def test_kept_prompt_that_is_gone_is_done_without_in_the_same_turn(
    vendors: VendorServer, provider: str, status: int
) -> None:
    lost: list[int] = []
    answered = await ask(kept(vendors, provider), tools=[booking()], lost=lost, questions=2)
    assert answered.text.startswith("Sure R4T2")
    refused, *others = requests(vendors)
    assert refused.body["cachedContent"] == NAMES[provider]
    assert len(others) == 2
    for request in others:
        assert "cachedContent" not in request.body
        [part] = request.body["systemInstruction"]["parts"]
        assert part["text"] == "You book visits.\n\nThe caller is Asha."
        assert request.body["tools"]
    assert lost == [status]


async def test_kept_prompt_is_not_told_lost_for_another_refusal(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.LLM: Fault(kind="http", status=403)}
    lost: list[int] = []
    with pytest.raises(APIStatusError):
        await ask(kept(vendors), lost=lost)
    assert (lost, len(requests(vendors))) == ([], 2)


async def test_thoughts_of_a_kept_prompt_are_told_when_it_is_gone(vendors: VendorServer) -> None:
    choice = kept(vendors, "google")
    model = google_llm(choice.llm, PromptCache.of(choice.prompt_parts))
    assert model.cached is not None
    # As the plug-in notes them when a tool is called.
    model.cached._thought_signatures["c1"] = b"why"
    context = llm.ChatContext.empty()
    context.add_message(role="system", content="You are brief.")
    context.add_message(role="user", content="R4 T2 book")
    call = llm.FunctionCall(call_id="c1", name="book", arguments="{}")
    output = llm.FunctionCallOutput(call_id="c1", name="book", output="ok", is_error=False)
    context.items += [call, output]
    try:
        async with model.chat(chat_ctx=context, conn_options=ONCE) as stream:
            await stream.collect()
    finally:
        await model.aclose()
    *_, request = requests(vendors)
    assert "cachedContent" not in request.body
    parts = [part for turn in request.body["contents"] for part in turn["parts"]]
    [called] = [part for part in parts if "functionCall" in part]
    assert base64.b64decode(called["thoughtSignature"]) == b"why"


@pytest.mark.parametrize(
    ("status", "is_retried"), [(401, False), (403, False), (404, False), (429, True), (503, True)]
)
async def test_refusal_tells_whether_to_try_again(
    vendors: VendorServer, status: int, is_retried: bool
) -> None:
    vendors.script.faults = {Vendor.LLM: Fault(kind="http", status=status)}
    with pytest.raises(APIStatusError) as refused:
        await ask(bot(vendors))
    assert (refused.value.status_code, refused.value.retryable) == (status, is_retried)
    assert "go-key" not in repr(refused.value) + repr(refused.value.__cause__)


async def test_wrong_key_is_told_as_such_though_the_vendor_answers_400(
    vendors: VendorServer,
) -> None:
    with pytest.raises(APIStatusError) as refused:
        await ask(bot(vendors, api_key="bad"))
    assert (refused.value.status_code, refused.value.retryable) == (401, False)


async def test_redirect_is_not_followed(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.LLM: Fault(kind="http", status=307)}
    with pytest.raises(APIStatusError) as refused:
        await ask(bot(vendors))
    assert refused.value.status_code == 307
    assert len(requests(vendors)) == 1


@pytest.mark.parametrize("kind", ["reset", "garbage"])
async def test_broken_stream_is_an_error_that_quotes_nothing(
    vendors: VendorServer, kind: Any
) -> None:
    vendors.script.faults = {Vendor.LLM: Fault(kind=kind)}
    with pytest.raises(APIConnectionError) as broken:
        await ask(bot(vendors))
    assert "JSON" not in str(broken.value)
    assert broken.value.__cause__ is None


async def test_silence_is_an_error_after_the_time_that_was_given(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.LLM: Fault(kind="silent")}
    model = google_llm(bot(vendors).llm)
    context = llm.ChatContext.empty()
    context.add_message(role="user", content="hello")
    impatient = APIConnectOptions(max_retry=0, timeout=0.2)
    with pytest.raises(APIConnectionError):
        async with model.chat(chat_ctx=context, conn_options=impatient) as stream:
            await stream.collect()
    await model.aclose()


def test_first_client_can_be_made_where_there_is_no_loop() -> None:
    # In the forkserver, and neither threads nor connections may come of it.
    before = threading.enumerate()
    warm_up()
    assert threading.enumerate() == before
