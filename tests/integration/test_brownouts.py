"""Real calls whose vendors fail: others stand in within the turn, and after the last a line is said
that cannot fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridges.audio.waveform import loud_spans
from bridges.phone import Phone
from tests.fakes.vendors.script import Fault, Reply, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer
from tests.integration.listening import bot_starts
from tests.integration.platform import Platform
from tests.integration.vendor_bot import bot, said

pytestmark = pytest.mark.asyncio(loop_scope="session")

PIPELINE = (Vendor.STT, Vendor.LLM, Vendor.TTS)
ANSWER = "Your booking is on Monday at half past ten in the morning."
QUESTION = "When is my booking?"
APOLOGY = "I'm sorry, I have technical trouble at the moment."
DESK = [{"id": "desk", "label": "Front desk", "value": "+14155550123", "is_default": True}]


@pytest.fixture
def platform(fleet: Platform) -> Platform:
    return fleet


def vendors(faults: dict[Vendor, Fault] | None = None) -> VendorServer:
    return VendorServer(
        VendorScript(
            references=False,
            # Words of a real voice have gaps between them.
            stt_quiet_ms=300,
            transcripts=[QUESTION],
            replies=[Reply(text=ANSWER)],
            faults=faults or {},
        )
    )


def with_fallbacks(first: VendorServer, second: VendorServer) -> dict[str, Any]:
    # No words into the wait: it is what is measured.
    config = bot(first, manners={"filler": {"enabled": False}})
    other = bot(second)
    for kind in PIPELINE:
        config[kind] = {**config[kind], "fallbacks": [other[kind]]}
    return config


@asynccontextmanager
async def calling(platform: Platform, name: str, config: dict[str, Any]) -> AsyncIterator[Phone]:
    await platform.save_bot(name, config)
    async with Phone.call(platform.stream_url(name), stream_id=name, ring_s=1.0) as phone:
        yield phone


async def asked_once(platform: Platform, vendor: Vendor, fault: Fault) -> dict[str, Any]:
    """Call a bot with two vendors of each kind, one of them struck, and ask once.

    Return the call's result, with the caller's wait for the answer beside.
    """
    name = f"two-{vendor}-{fault.kind}"
    async with (
        vendors({vendor: fault}) as first,
        vendors() as second,
        calling(platform, name, with_fallbacks(first, second)) as phone,
    ):
        await phone.hear()
        await phone.say(platform.voice(QUESTION))
        asked_s = phone.now_s
        began_s = await bot_starts(phone, after_s=asked_s)
        await asyncio.sleep(6.0)
        await phone.hang_up()
    return {**await platform.result(name), "waited_s": began_s - asked_s}


async def test_turn_outlives_any_one_vendor(platform: Platform) -> None:
    platform.voice(QUESTION)
    cases = {
        Vendor.STT: Fault(kind="silent"),
        Vendor.LLM: Fault(kind="silent"),
        # The greeting is said by the first; it breaks off in the middle of each line.
        Vendor.TTS: Fault(kind="reset", after=8),
    }
    results = await asyncio.gather(
        *(asked_once(platform, vendor, fault) for vendor, fault in cases.items())
    )
    for (vendor, _), result in zip(cases.items(), results, strict=True):
        assert said(result, "customer") == [QUESTION], vendor
        assert said(result, "bot")[1:] == [ANSWER], vendor
        assert result["disconnected_by"] == "customer"
        switches = [each for each in result["events"] if each["event"] == "provider_switched"]
        assert switches[0]["kind"] == vendor
        assert result["pipeline_config"]["agent"][vendor]["fallbacks"]
        # Deadlines of 1.5 and 2.5 s, and what a turn takes by itself on a machine with much to do.
        assert result["waited_s"] < 2.5 + 2.0, vendor


async def broken_call(platform: Platform, name: str, fault: Fault, **config: Any) -> dict[str, Any]:
    """Call a bot all of whose vendors break once it has greeted; ask once, and wait for the end."""
    async with (
        vendors() as all_of_them,
        calling(platform, name, bot(all_of_them, **config)) as phone,
    ):
        await phone.hear()
        all_of_them.script.faults = {Vendor.LLM: fault, Vendor.TTS: fault}
        asked_s = phone.now_s
        await phone.say(platform.voice(QUESTION))
        assert await phone.wait_closed(40.0) == 1000
        spans = [span for span in loud_spans(phone.heard()) if span.start_s > asked_s]
        transfer = phone.transfer
    return {**await platform.result(name), "heard": spans, "transfer": transfer}


async def lone_call(platform: Platform, vendor: Vendor, fault: Fault) -> dict[str, Any]:
    """Call a bot one of whose vendors is broken, and ask on; return the result."""
    name = f"lone-{vendor}-{fault.kind}"
    async with (
        vendors({vendor: fault}) as lone,
        calling(platform, name, bot(lone, opening_message="")) as phone,
    ):
        asking = asyncio.create_task(ask_on(phone, platform.voice(QUESTION)))
        assert await phone.wait_closed(60.0) == 1000, name
        asking.cancel()
        ended_s = phone.now_s
    return {**await platform.result(name), "ended_s": ended_s}


async def ask_on(phone: Phone, question: bytes) -> None:
    """Say the same again every few seconds."""
    while True:
        await phone.say(question)
        await asyncio.sleep(6.0)


async def call_that_drops_out(platform: Platform) -> dict[str, Any]:
    """Call a bot whose only recogniser drops out once, and ask once; return the result."""
    async with (
        vendors({Vendor.STT: Fault(kind="reset", times=1)}) as lone,
        calling(platform, "anew", bot(lone)) as phone,
    ):
        await phone.hear()
        await phone.say(platform.voice(QUESTION))
        assert await phone.hear() is not None
        await phone.hang_up()
        assert len(lone.journal.of(Vendor.STT)) == 2
    return await platform.result("anew")


async def test_caller_of_a_bot_with_nobody_left_hears_an_apology(platform: Platform) -> None:
    platform.voice(QUESTION)
    refused = Fault(kind="http", status=401)
    goodbye, handed_over, mute = await asyncio.gather(
        broken_call(platform, "all-lost", refused),
        broken_call(platform, "all-lost-but-the-desk", refused, transfer_targets=DESK),
        lone_call(platform, Vendor.TTS, Fault(kind="garbage")),
    )
    for result in (goodbye, handed_over):
        assert said(result, "bot")[-1] == APOLOGY
        assert sum(span.end_s - span.start_s for span in result["heard"]) > 1.5
        assert "OpenAiLLM answered 401" in str(result["events"])
    assert goodbye["disconnected_by"] == "error"
    assert goodbye["transfer"] is None
    assert handed_over["was_transferred"]
    assert handed_over["transfer_destination"] == DESK[0]["value"]
    assert mute["disconnected_by"] == "error"
    assert "ElevenLabsTTS" in str(mute["events"])


async def test_lone_recogniser_is_connected_anew_before_the_call_is_given_up(
    platform: Platform,
) -> None:
    platform.voice(QUESTION)
    deaf, heard = await asyncio.gather(
        lone_call(platform, Vendor.STT, Fault(kind="silent")), call_that_drops_out(platform)
    )
    assert said(heard, "customer") == [QUESTION]
    assert said(heard, "bot")[1:] == [ANSWER]
    assert deaf["disconnected_by"] == "error"
    assert "DeepgramSTT gave no answer at all" in str(deaf["events"])
    # The apology and all; the first question may have come before anybody listened.
    assert deaf["ended_s"] < 20.0
