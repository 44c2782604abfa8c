"""Real calls through the three vendors' plug-ins, against stand-ins faithful on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from bridges.audio.waveform import loud_spans
from bridges.phone import Phone
from tests.fakes.vendors.script import Fault, Reply, ToolCall, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer
from tests.fakes.vendors.tone import PLAIN_HZ, tone_hz
from tests.integration.listening import bot_starts
from tests.integration.platform import Platform, running_platform

pytestmark = pytest.mark.asyncio(loop_scope="module")

RATE_HZ = 8000
KEYS = {kind: f"{kind}-key-which-nobody-may-see" for kind in ("stt", "llm", "tts")}
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

JUDGED = {"post_call_analysis_prompt": "What came of it?", "qc_prompt": "How well was it done?"}


def bot(vendors: VendorServer, **config: Any) -> dict[str, Any]:
    return {
        "system_prompt": "You are brief.",
        "opening_message": "Hello, this is the booking desk. How can I help you?",
        "stt": {"provider": "deepgram", "api_key": KEYS["stt"], "base_url": vendors.deepgram},
        "llm": {
            "provider": "openai",
            "api_key": KEYS["llm"],
            "base_url": vendors.openai,
            "model": "gpt-4.1-mini",
            "extra": {"top_p": 0.9},
        },
        "tts": {
            "provider": "elevenlabs",
            "api_key": KEYS["tts"],
            "base_url": vendors.elevenlabs,
            "voice": "anna",
        },
        **config,
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Platform, VendorServer]]:
    """A fleet, and three vendors for its bot."""
    async with (
        VendorServer() as vendors,
        running_platform(tmp_path_factory.mktemp("fleet")) as platform,
    ):
        await platform.save_bot("vendors", bot(vendors))
        yield platform, vendors


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


def pitches_hz(pcm: bytes) -> list[float]:
    """Return the pitch of each sound that was heard."""
    samples = np.frombuffer(pcm, dtype="<i2")
    found = []
    for span in loud_spans(pcm):
        piece = samples[round(span.start_s * RATE_HZ) : round(span.end_s * RATE_HZ)]
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), n=RATE_HZ))
        found.append(float(np.argmax(spectrum)))
    return found


async def eventually(happened: Callable[[], bool], timeout_s: float = 15.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not happened():  # noqa: ASYNC110 - a vendor tells nobody who connects
            await asyncio.sleep(0.02)


def said(result: dict[str, Any], speaker: str) -> list[str]:
    return [line["text"] for line in result["transcript"] if line["speaker"] == speaker]


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
        await bot_starts(phone, after_s=phone.now_s)
        await phone.hang_up()
    await platform.result("early")
    steps = [step for step in vendors.journal.steps if step["turn"] == "T1"]
    whats = [(step["vendor"], step["what"]) for step in steps]
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


async def broken_call(
    platform: Platform, vendor: Vendor, fault: Fault, question: bytes
) -> dict[str, Any]:
    """Call a bot one of whose vendors is broken, and ask again and again; return the result."""
    name = f"{vendor}-{fault.kind}"
    async with VendorServer(VendorScript(references=False)) as vendors:
        vendors.script.faults = {vendor: fault}
        await platform.save_bot(name, bot(vendors, opening_message=""))
        async with Phone.call(platform.stream_url(name), stream_id=name, ring_s=1.0) as phone:
            asking = asyncio.create_task(ask_on(phone, question))
            assert await phone.wait_closed(60.0) == 1000, name
            asking.cancel()
    return await platform.result(name)


async def ask_on(phone: Phone, question: bytes) -> None:
    """Say the same again every few seconds."""
    while True:
        await phone.say(question)
        await asyncio.sleep(6.0)


async def test_wrong_key_ends_the_call_with_its_reason(platform: Platform) -> None:
    question = platform.voice("When is my booking?")
    refused = Fault(kind="http", status=401)
    results = await asyncio.gather(
        *(broken_call(platform, vendor, refused, question) for vendor in Vendor)
    )
    assert [result["disconnected_by"] for result in results] == ["error"] * 3
    endings = [str(result["events"]) for result in results]
    for source, ending in zip(("DeepgramSTT", "OpenAiLLM", "ElevenLabsTTS"), endings, strict=True):
        assert f"{source} answered 401" in ending


@pytest.mark.parametrize(
    "cases",
    [
        [(Vendor.LLM, "reset"), (Vendor.LLM, "silent"), (Vendor.STT, "silent")],
        [(Vendor.TTS, "garbage"), (Vendor.TTS, "silent"), (Vendor.TTS, "reset")],
    ],
    ids=["those who listen and think", "the voice"],
)
async def test_vendor_that_breaks_does_not_leave_the_caller_hanging(
    platform: Platform, cases: list[tuple[Vendor, Any]]
) -> None:
    question = platform.voice("When is my booking?")
    results = await asyncio.gather(
        *(broken_call(platform, vendor, Fault(kind=kind), question) for vendor, kind in cases)
    )
    assert [result["disconnected_by"] for result in results] == ["error"] * len(cases)


async def test_recogniser_that_drops_out_is_connected_anew(
    platform: Platform, vendors: VendorServer
) -> None:
    vendors.script.faults = {Vendor.STT: Fault(kind="reset", times=1)}
    vendors.script.replies = [Reply(text="On Monday.")]
    question = platform.voice("When is my booking?")
    async with Phone.call(platform.stream_url("vendors"), stream_id="anew", ring_s=1.0) as phone:
        await phone.hear()
        await phone.say(question)
        await eventually(lambda: len(vendors.journal.of(Vendor.STT)) == 2)
        await phone.say(question)
        assert await phone.hear() is not None
        await phone.hang_up()
    result = await platform.result("anew")
    assert result["disconnected_by"] == "customer"
    assert said(result, "bot")[1:] == ["On Monday."]


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
