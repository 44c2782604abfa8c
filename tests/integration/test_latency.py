"""On real calls: what a result says of each turn is what the phone's own waveform shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bridges.phone import Phone
from contracts.report import MOMENTS, STAGES
from tests.integration.bots import TALKER
from tests.integration.platform import Platform, running_platform

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTIONS = ("When are you open?", "Can you tell me a joke?", "When are you open?")
AGREES_MS = 50.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running fleet with one talkative bot."""
    async with running_platform(tmp_path_factory.mktemp("fleet")) as running:
        await running.save_bot("talker", TALKER)
        yield running


async def turns_of(platform: Platform, stream_id: str) -> list[tuple[float, dict[str, Any]]]:
    """Hold a call; return for each turn the wait in the waveform, in ms, and what was measured."""
    voices = [platform.voice(question) for question in QUESTIONS]
    async with Phone.call(platform.stream_url("talker"), stream_id=stream_id) as phone:
        assert await phone.hear() is not None
        for voice in voices:
            await phone.say(voice)
            assert await phone.hear() is not None
        asked, answered = phone.caller_audio_segments(), phone.bot_audio_segments()
    waits = [
        1000 * (next(a.start_s for a in answered if a.start_s > q.end_s) - q.end_s) for q in asked
    ]
    result = await platform.result(stream_id)
    return list(zip(waits, result["latency_samples"], strict=True))


async def test_measured_turns_agree_with_the_waveform(platform: Platform) -> None:
    turns = await turns_of(platform, "measured")
    # The median: a busy machine may hold up the phone itself, which only the phone can see.
    apart_ms = sorted(abs(sample["response_ms"] - wait_ms) for wait_ms, sample in turns)
    assert apart_ms[len(apart_ms) // 2] < AGREES_MS, turns
    for _, sample in turns:
        known = [sample[stage] for stage in STAGES if sample[stage] is not None]
        assert sum(known) == pytest.approx(sample["response_ms"], abs=1)
        moments = [sample[moment] for moment in MOMENTS]
        assert None not in moments
        assert moments == sorted(moments)
        assert "speech_end" not in sample
