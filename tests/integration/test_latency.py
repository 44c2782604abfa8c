"""On real calls: what a result says of each turn is what the phone's own waveform shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bridges.phone import Phone
from contracts.report import MOMENTS, STAGES
from tests.fakes.vendors.script import VendorScript
from tests.fakes.vendors.server import VendorServer
from tests.integration.bots import TALKER
from tests.integration.listening import bot_starts
from tests.integration.platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUESTIONS = ("When are you open?", "Can you tell me a joke?", "When are you open?")
PROTEST = "I would like to ask something else."
AGREES_MS = 50.0
FIXED_MS = VendorScript(stt_final_ms=300, llm_first_token_ms=200, tts_first_audio_ms=120)

Turn = tuple[float, dict[str, Any]]
"""The wait in the waveform, in ms, and what was measured."""


def remote(vendors: VendorServer) -> dict[str, Any]:
    return {
        "opening_message": "Hello, this is the booking desk. How can I help you?",
        "stt": {"provider": "deepgram", "api_key": "k", "base_url": vendors.deepgram},
        "llm": {
            "provider": "openai",
            "api_key": "k",
            "base_url": vendors.openai,
            "model": "gpt-4.1-mini",
        },
        "tts": {
            "provider": "elevenlabs",
            "api_key": "k",
            "base_url": vendors.elevenlabs,
            "voice": "anna",
        },
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(fleet: Platform) -> AsyncIterator[Platform]:
    """A running fleet with a bot that needs no network, and one that asks vendors."""
    async with VendorServer(FIXED_MS) as vendors:
        await fleet.save_bot("talker", TALKER)
        await fleet.save_bot("remote", remote(vendors))
        yield fleet


async def turns_of(platform: Platform, bot_id: str, stream_id: str) -> list[Turn]:
    """Hold a call of three questions."""
    voices = [platform.voice(question) for question in QUESTIONS]
    async with Phone.call(platform.stream_url(bot_id), stream_id=stream_id) as phone:
        assert await phone.hear() is not None
        for voice in voices:
            await phone.say(voice)
            assert await phone.hear() is not None
        waits_ms = waits_of(phone)
    result = await platform.result(stream_id)
    return list(zip(waits_ms, result["latency_samples"], strict=True))


def waits_of(phone: Phone) -> list[float]:
    """Return how long the caller waited for each answer, by the waveform alone."""
    starts = [span.start_s for span in phone.bot_audio_segments()]
    ends = [span.end_s for span in phone.caller_audio_segments()]
    return [1000 * (next(start for start in starts if start > end) - end) for end in ends]


def assert_measured(turns: list[Turn]) -> None:
    # The median: a busy machine may hold up the phone itself, which only the phone can see.
    apart_ms = sorted(abs(sample["response_ms"] - wait_ms) for wait_ms, sample in turns)
    assert apart_ms[len(apart_ms) // 2] < AGREES_MS, turns
    for _, sample in turns:
        known = [sample[stage] for stage in STAGES if sample[stage] is not None]
        assert sum(known) == pytest.approx(sample["response_ms"], abs=1)
        moments = [sample[moment] for moment in MOMENTS]
        assert None not in moments
        assert "speech_end" not in sample


async def test_measured_turns_agree_with_the_waveform(platform: Platform) -> None:
    turns = await turns_of(platform, "talker", "measured")
    assert_measured(turns)
    for _, sample in turns:
        moments = [sample[moment] for moment in MOMENTS]
        assert moments == sorted(moments)


async def test_turns_of_remote_vendors_agree_and_show_each_vendors_part(
    platform: Platform,
) -> None:
    turns = await turns_of(platform, "remote", "remote")
    assert_measured(turns)
    for _, sample in turns:
        assert sample["stt_final_at_ms"] > FIXED_MS.stt_final_ms - AGREES_MS
        first_token_ms = sample["first_token_at_ms"] - sample["requested_at_ms"]
        assert first_token_ms > FIXED_MS.llm_first_token_ms - AGREES_MS
        assert sample["tts_ttfb_ms"] > FIXED_MS.tts_first_audio_ms - AGREES_MS


async def test_answer_that_was_cut_off_and_the_next_one_are_both_measured(
    platform: Platform,
) -> None:
    question, protest = platform.voice(QUESTIONS[0]), platform.voice(PROTEST)
    async with Phone.call(platform.stream_url("talker"), stream_id="cut-off") as phone:
        await phone.hear()
        await phone.say(question)
        await bot_starts(phone, after_s=phone.now_s)
        await asyncio.sleep(0.6)
        await phone.say(protest)
        await phone.hear()
        waits_ms = waits_of(phone)
    samples = (await platform.result("cut-off"))["latency_samples"]
    assert [sample["turn"] for sample in samples] == [1, 2]
    # The first thing heard may be the old line, resumed until it was clear what was meant; of two
    # turns there is no median, so the phone is given more.
    for wait_ms, sample in zip(waits_ms, samples, strict=True):
        assert sample["response_ms"] > wait_ms - 3 * AGREES_MS
