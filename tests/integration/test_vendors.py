"""Real calls through the vendors' plug-ins, against stand-ins faithful on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import pytest_asyncio

from bridges.phone import Phone
from tests.fakes.mcp_server import running_mcp_server
from tests.fakes.tool_server import running_tool_server
from tests.fakes.vendors.script import Fault, Reply, ToolCall, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer
from tests.fakes.vendors.tone import PLAIN_HZ, tone_hz
from tests.integration.listening import bot_starts, hears, pitches_hz
from tests.integration.platform import Platform
from tests.integration.vendor_bot import KEYS, bot, gemini, realtime_bot, said

pytestmark = pytest.mark.asyncio(loop_scope="session")

PIPELINE = (Vendor.STT, Vendor.LLM, Vendor.TTS)
SCRIPT = VendorScript(
    stt_final_ms=300,
    # Words of a real voice have gaps between them.
    stt_quiet_ms=300,
    transcripts=["When is my booking?", "That is all, goodbye."],
    replies=[
        Reply(when="transcript of the call", text='Sure: {"DISPOSITION": "ASKED", "score": 9}'),
        Reply(when="goodbye", text="You are welcome. Bye.", tool_calls=[ToolCall(name="end_call")]),
    ],
)

PROMPT_MS = 1000
"""What a turn may take beside its vendors, on a machine that has much else to do."""
JUDGED = {"post_call_analysis_prompt": "What came of it?", "qc_prompt": "How well was it done?"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(
    fleet: Platform,
) -> AsyncIterator[tuple[Platform, VendorServer]]:
    """A fleet, and three vendors for its bot."""
    (Path(fleet.fleet.environ["SECRETS_DIR"]) / "llm").write_text(KEYS["llm"])
    async with VendorServer() as vendors:
        await fleet.save_bot("vendors", bot(vendors))
        yield fleet, vendors


@pytest.fixture
def platform(running: tuple[Platform, VendorServer]) -> Platform:
    return running[0]


@pytest.fixture
def vendors(running: tuple[Platform, VendorServer]) -> VendorServer:
    """The vendors, with the usual script and nothing seen yet."""
    vendors = running[1]
    vendors.script.change(SCRIPT.model_dump())
    vendors.journal.requests.clear()
    vendors.journal.steps.clear()
    return vendors


def whats_of(vendors: VendorServer, turn: str) -> list[tuple[str, str]]:
    """Return what each vendor did in a turn."""
    steps = [step for step in vendors.journal.steps if step["turn"] == turn]
    return [(step["vendor"], step["what"]) for step in steps]


async def eventually(happened: Callable[[], bool], timeout_s: float = 15.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not happened():  # noqa: ASYNC110 - a vendor tells nobody who connects
            await asyncio.sleep(0.02)


async def test_conversation_runs_through_all_three(
    platform: Platform, vendors: VendorServer
) -> None:
    await platform.save_bot("judged", bot(vendors, **JUDGED))
    question, farewell = platform.voice("When is my booking?"), platform.voice("Goodbye.")
    async with Phone.call(platform.stream_url("judged"), stream_id="through", ring_s=1.0) as phone:
        await phone.hear()
        await phone.say(question)
        await phone.hear()
        await phone.say(farewell)
        assert await phone.wait_closed() == 1000
        heard = phone.heard()
    result = await platform.result("through")

    # The greeting belongs to nobody's turn; every answer has the tone of this call's recogniser.
    connection = next(s["ref"] for s in vendors.journal.steps if s["vendor"] == Vendor.STT)
    expected = {PLAIN_HZ, tone_hz(int(connection.removeprefix("R")))}
    pitches = pitches_hz(heard)
    assert {min(expected, key=lambda hz: abs(hz - pitch)) for pitch in pitches} == expected
    assert all(min(abs(hz - pitch) for hz in expected) < 5 for pitch in pitches)

    assert result["disconnected_by"] == "bot"
    assert said(result, "customer") == [
        f"{connection} T1 When is my booking?",
        f"{connection} T2 That is all, goodbye.",
    ]
    greeting, answer, goodbye = said(result, "bot")
    assert greeting == "Hello, this is the booking desk. How can I help you?"
    assert answer.startswith(f"Sure {connection}T1, let me check that. Your booking is on Monday")
    assert answer.endswith("open on that day.")
    assert goodbye == "You are welcome. Bye."
    names = [event["event"] for event in result["events"]]
    assert "tool_call" in names
    assert result["pipeline_config"]["llm"]["provider"] == "openai"
    assert result["usage_metrics"]["models"]
    # The worker has asked the same model about the call, and the result has waited for it.
    judgement = {"DISPOSITION": "ASKED", "score": 9}
    assert (result["post_call_analysis"], result["qc_analysis"]) == (judgement, judgement)
    assert result["revision"] == 0

    # What the vendors were asked.
    [stt] = vendors.journal.of(Vendor.STT)
    assert stt.query["sample_rate"] == ["8000"]
    requests = vendors.journal.of(Vendor.LLM)
    prompts = [request.body["messages"][0]["content"] for request in requests]
    assert {prompt.partition("\n")[0] for prompt in prompts} == {
        "You are brief.",
        *JUDGED.values(),
    }
    assert all(request.body["top_p"] == 0.9 for request in requests)
    assert requests[0].body["messages"][0] == {"role": "system", "content": "You are brief."}
    offered = {tool["function"]["name"] for tool in requests[0].body["tools"]}
    assert "end_call" in offered
    assert all(
        request.query["output_format"] == ["pcm_8000"] for request in vendors.journal.of(Vendor.TTS)
    )


async def test_first_clause_is_spoken_before_the_answer_is_written(
    platform: Platform, vendors: VendorServer
) -> None:
    vendors.script.llm_token_ms = 100
    question = platform.voice("When is my booking?")
    async with Phone.call(platform.stream_url("vendors"), stream_id="early", ring_s=1.0) as phone:
        await phone.hear()
        await phone.say(question)
        await eventually(lambda: ("tts", "first_audio") in whats_of(vendors, "T1"))
        await phone.hang_up()
    await platform.result("early")
    steps = [step for step in vendors.journal.steps if step["turn"] == "T1"]
    whats = whats_of(vendors, "T1")
    spoken = whats.index(("tts", "first_audio"))
    # The model is still writing, or was cut off while it did.
    assert ("llm", "done") not in whats[:spoken]
    assert steps[whats.index(("tts", "text"))]["text"].strip().endswith("T1,")


async def test_line_that_is_cut_off_is_told_as_far_as_it_was_heard(
    platform: Platform, vendors: VendorServer
) -> None:
    vendors.script.transcripts = ["When is my booking?", "I would like to ask something else."]
    question = platform.voice("When is my booking?")
    protest = platform.voice("I would like to ask something else.")
    async with Phone.call(platform.stream_url("vendors"), stream_id="cut", ring_s=1.0) as phone:
        await phone.hear()
        await phone.say(question)
        await bot_starts(phone, after_s=phone.now_s)
        await asyncio.sleep(3.0)
        await phone.say(protest)
        await bot_starts(phone, after_s=phone.now_s)
        await phone.hang_up()
    result = await platform.result("cut")
    answer = said(result, "bot")[1]
    # About fifteen characters a second are said.
    assert answer.startswith("Sure R")
    assert 15 <= len(answer) <= 90
    assert not answer.endswith("that day.")


@pytest.mark.parametrize(
    ("stt", "tts"),
    [
        ({"provider": "deepgram_flux", "extra": {"eager_eot_threshold": 0.4}}, "sarvam"),
        ({"provider": "soniox", "language": "multi"}, "elevenlabs"),
    ],
    ids=["Flux and Sarvam", "Soniox and Gemini"],
)
async def test_turn_is_over_when_the_recogniser_says_so(
    platform: Platform, vendors: VendorServer, stt: dict[str, Any], tts: str
) -> None:
    heard_at = {"deepgram_flux": vendors.flux, "soniox": vendors.soniox}[stt["provider"]]
    config = bot(vendors, stt={**stt, "api_key": KEYS["stt"], "base_url": heard_at})
    has_gemini = tts == "elevenlabs"
    if has_gemini:
        config |= gemini(vendors)
    if tts == "sarvam":
        spoken = {"provider": tts, "voice": "anushka", "base_url": vendors.sarvam}
        config |= {"tts": {**spoken, "api_key": KEYS["tts"]}}
    await platform.save_bot(stt["provider"], config)
    question, farewell = platform.voice("When is my booking?"), platform.voice("Goodbye.")
    url = platform.stream_url(stt["provider"])
    async with Phone.call(url, stream_id=stt["provider"], ring_s=1.0) as phone:
        await phone.hear()
        await phone.say(question)
        await phone.hear()
        await phone.say(farewell)
        assert await phone.wait_closed() == 1000
        heard = phone.heard()
    result = await platform.result(stt["provider"])
    assert result["pipeline_config"]["agent"]["turn_detector"] == "stt"
    assert result["disconnected_by"] == "bot"
    assert [text.partition(" ")[2] for text in said(result, "customer")] == [
        "T1 When is my booking?",
        "T2 That is all, goodbye.",
    ]
    connection = next(s["ref"] for s in vendors.journal.steps if s["vendor"] == Vendor.STT)
    expected = {PLAIN_HZ, tone_hz(int(connection.removeprefix("R")))}
    pitches = pitches_hz(heard)
    assert all(min(abs(hz - pitch) for hz in expected) < 5 for pitch in pitches)
    if has_gemini:
        # The prompt it was to keep is gone; the caller was answered all the same.
        assert [each["event"] for each in result["events"]].count("prompt_cache_lost") == 1
        summary = result["llm_cache_summary"]
        assert (summary["enabled"], summary["statuses"]) == (True, ["lost", "missed"])
        assert summary["fresh_prompt_tokens"] > summary["cache_read_input_tokens"] == 0
    # What the vendors take for themselves is all there is to wait for, bar the way and the machine.
    vendors_ms = SCRIPT.stt_final_ms + SCRIPT.llm_first_token_ms + SCRIPT.tts_first_audio_ms
    samples = result["latency_samples"]
    assert min(each["response_ms"] for each in samples) < vendors_ms + PROMPT_MS, samples


async def test_tools_are_used_while_the_caller_is_told_to_wait(
    platform: Platform, vendors: VendorServer
) -> None:
    vendors.script.transcripts = ["Where is my order?", "When does it come?", "Goodbye."]
    found = ToolCall(name="find_order", arguments={"order_id": "7"})
    vendors.script.replies = [
        Reply(when="shipped", text="It has left."),
        Reply(when="on its way", text="It comes today."),
        Reply(when="where", tool_calls=[found]),
        Reply(when="when", tool_calls=[found.model_copy(update={"name": "shop_find_order"})]),
        *SCRIPT.replies,
    ]
    secret = {"X-Key": KEYS["llm"]}
    async with (
        running_tool_server(answer={"status": "shipped"}) as http,
        running_mcp_server() as mcp,
    ):
        tool = {
            "function": {"name": "find_order", "parameters": {"properties": {"order_id": {}}}},
            "url": f"{http.url}/orders/{{{{args.order_id}}}}",
            "headers": secret,
            "pre_message": "One moment, please.",
        }
        server = {"name": "shop", "url": mcp.url, "headers": secret}
        plain = {"filler": {"enabled": False}}
        clerk = bot(vendors, tools=[tool], mcp_servers=[server], manners=plain)
        await platform.save_bot("clerk", clerk)
        http.held.clear()
        async with Phone.call(platform.stream_url("clerk"), stream_id="clerk", ring_s=1.0) as phone:
            await phone.hear()
            await phone.say(platform.voice("When is my booking?"))
            asked_s = phone.now_s
            await eventually(lambda: bool(http.asked))
            began_s = monotonic()
            # The line is heard while the server thinks.
            await bot_starts(phone, after_s=asked_s)
            thought_ms = 1000 * (monotonic() - began_s)
            http.held.set()
            await eventually(lambda: len(vendors.journal.of(Vendor.LLM)) == 2)
            await phone.hear()
            await phone.say(platform.voice("When is my booking?"))
            await eventually(lambda: len(vendors.journal.of(Vendor.LLM)) == 4)
            await phone.hear()
            await phone.say(platform.voice("Goodbye."))
            assert await phone.wait_closed() == 1000
        assert [asked.path for asked in http.asked] == ["/orders/7"]
        assert mcp.calls == ["find_order 7"]
        assert http.asked[0].headers["X-Key"] == mcp.headers["x-key"] == KEYS["llm"]
    result = await platform.result("clerk")
    lines = ["One moment, please.", "It has left.", "It comes today.", "You are welcome. Bye."]
    assert said(result, "bot")[1:] == lines
    events = {event["event"]: event for event in reversed(result["events"])}
    assert events["mcp_connected"]["tools"] == 6
    results = [event for event in result["events"] if event["event"] == "custom_tool_result"]
    assert [(each["name"], each["result"], each["error"]) for each in results[:2]] == [
        ("find_order", {"status": "shipped"}, None),
        ("shop_find_order", "Order 7 is on its way.", None),
    ]
    assert results[0]["duration_ms"] >= int(thought_ms)
    assert events["tool_call"]["arguments"] == {"order_id": "7"}


async def test_answer_is_looked_up_with_a_key_that_is_only_named(
    platform: Platform, vendors: VendorServer
) -> None:
    vendors.script.transcripts = ["What does a cleaning cost?", "Goodbye."]
    search = ToolCall(name="search_knowledge", arguments={"query": "cost of cleaning"})
    vendors.script.replies = [
        Reply(when="passages", text="It is in our price list."),
        Reply(when="cleaning", tool_calls=[search]),
        *SCRIPT.replies,
    ]
    made = await platform.api.post("/api/v1/knowledge-bases", json={"name": "Surgery"})
    path = f"/api/v1/knowledge-bases/{made.json()['kb_id']}/documents"
    facts = b"A cleaning costs 1500 rupees. Children pay half."
    added = await platform.api.post(path, params={"filename": "prices.md"}, content=facts)
    config = bot(vendors, knowledge_enabled=True, knowledge_kb_ids=[made.json()["kb_id"]])
    config["llm"]["api_key"] = "secret://llm"
    await platform.save_bot("librarian", config)
    url = platform.stream_url("librarian")
    async with Phone.call(url, stream_id="librarian", ring_s=1.0) as phone:
        await phone.hear()
        await phone.say(platform.voice("When is my booking?"))
        await phone.hear()
        await phone.say(platform.voice("Goodbye."))
        assert await phone.wait_closed() == 1000
    result = await platform.result("librarian")
    assert said(result, "bot")[1:] == ["It is in our price list.", "You are welcome. Bye."]
    asked = vendors.journal.of(Vendor.LLM)
    assert {each.headers["Authorization"] for each in asked} == {f"Bearer {KEYS['llm']}"}
    assert "1500 rupees" in str(asked[1].body["messages"][-1])
    used = next(each for each in result["events"] if each["event"] == "custom_tool_result")
    [passage] = used["result"]["passages"]
    chunk_id = f"{added.json()['document_id']}_chunk_0"
    assert passage == {"chunk_id": chunk_id, "document": "prices.md", "score": 1.0}
    assert used["duration_ms"] < 3000


async def test_bot_that_cannot_work_is_refused_when_it_is_saved(
    platform: Platform, vendors: VendorServer
) -> None:
    config = bot(vendors, llm={"provider": "openai", "model": "gpt-4.1-mini"})
    answer = await platform.api.put("/api/v1/bots/keyless", json=config)
    assert answer.status_code == 422, answer.text
    assert [error["loc"] for error in answer.json()["error"]["details"]["errors"]] == [
        ["llm", "api_key"]
    ]


async def test_no_key_is_seen_anywhere(platform: Platform, vendors: VendorServer) -> None:
    vendors.script.faults = {vendor: Fault(kind="http", status=401) for vendor in Vendor}
    async with Phone.call(platform.stream_url("vendors"), stream_id="keys") as phone:
        await phone.wait_closed()
    result = await platform.result("keys")
    call = await platform.call("keys")
    shown = await platform.api.get("/api/v1/bots/vendors")
    events = await platform.api.get(f"/api/v1/calls/{call['call_id']}")
    places = {
        # Of every call of this module, the failed ones with their errors too.
        "log": "\n".join(platform.log),
        "result": str(result),
        "bot": shown.text,
        "call": events.text,
    }
    for kind, key in KEYS.items():
        assert [name for name, text in places.items() if key in text] == [], kind


@pytest.mark.parametrize("provider", ["openai", "google"])
async def test_model_that_hears_by_itself_holds_the_call(
    platform: Platform, vendors: VendorServer, provider: str
) -> None:
    story = "Your booking is on Monday, the fourth of May, and " * 4
    vendors.script.replies = [*SCRIPT.replies[1:], Reply(when="booking", text=story)]
    vendors.script.replies += [Reply(text="Of course.")]
    vendors.script.transcripts = ["When is my booking?", "Something else.", "Goodbye."]
    await platform.save_bot(provider, realtime_bot(vendors, provider))
    stream_id = f"realtime-{provider}"
    async with Phone.call(platform.stream_url(provider), stream_id=stream_id, ring_s=1.0) as phone:
        await phone.hear()
        await phone.say(platform.voice("When is my booking?"))
        await bot_starts(phone, after_s=phone.now_s)
        await asyncio.sleep(2.0)
        await phone.say(platform.voice("I would like to ask something else."))
        await phone.hear()
        await phone.say(platform.voice("Goodbye."))
        assert await phone.wait_closed() == 1000
    result = await platform.result(stream_id)
    assert result["disconnected_by"] == "bot"
    question, protest, farewell = said(result, "customer")
    assert "booking" in question.lower()
    assert "something else" in protest.lower()
    assert hears("goodbye", farewell)
    _, told, answer, goodbye = said(result, "bot")
    assert 10 <= len(told) < len(story) / 2
    assert story.startswith(told)
    assert (answer, goodbye) == ("Of course.", "You are welcome. Bye.")
    assert result["pipeline_config"]["agent"]["realtime"]["provider"] == provider
    assert result["usage_metrics"]["models"]
    whats = [step["what"] for step in vendors.journal.steps]
    assert whats.count("committed") == 3
    if provider == "openai":
        [cut] = [s for s in vendors.journal.steps if s["what"] == "truncated"]
        # As many milliseconds as the words in the transcript take.
        assert abs(cut["at_ms"] - 1000 * len(told) / 15) < 700
    times = sorted(sample["response_ms"] for sample in result["latency_samples"])
    assert len(times) == 3
    assert times[1] < vendors.script.realtime_first_audio_ms + 400 + PROMPT_MS
    assert KEYS["realtime"] not in str(result) + "\n".join(platform.log)
