"""A slow realtime model is waited for as long as its bot wants, and no shorter."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit.agents import llm
from livekit.agents.utils import http_context

from agent.vendor.gemini_live import gemini_live
from agent.vendor.openai_realtime import openai_realtime
from contracts.engines import RealtimeConfig
from tests.agent.vendor.realtime_talk import ANSWER, Talk, eventually, script
from tests.fakes.vendors.script import Fault, Vendor
from tests.fakes.vendors.server import VendorServer

pytestmark = pytest.mark.filterwarnings(
    # The plug-in's own way to set it.
    "ignore:Setting `LiveConnectConfig.generation_config` is deprecated:DeprecationWarning"
)

ANSWER_S = 30
FASTER = 20


@pytest.mark.parametrize("provider", ["openai", "google"])
async def test_answer_is_waited_for_as_long_as_the_bot_wants(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    call_later: Any = loop.call_later
    async with http_context.open(), VendorServer(script()) as vendors:
        vendors.script.faults = {Vendor.REALTIME: Fault(kind="silent", times=1)}
        url = vendors.google if provider == "google" else vendors.openai
        config = RealtimeConfig(provider=provider, api_key="key", base_url=url, answer_s=ANSWER_S)
        make: Any = gemini_live if provider == "google" else openai_realtime
        talk = Talk(make(config, judges_turns=False))
        await eventually(lambda: bool(vendors.journal.of(Vendor.REALTIME)))
        # All that waits for a time waits a twentieth of it.
        monkeypatch.setattr(
            loop, "call_later", lambda s, *how, **more: call_later(s / FASTER, *how, **more)
        )
        talk.voice()
        talk.take_up("When is my booking?")
        asked = talk.session.generate_reply()
        asked_at = loop.time()
        await asyncio.wait({asked}, timeout=10 * ANSWER_S)
        assert ANSWER_S - 1 < FASTER * (loop.time() - asked_at) < ANSWER_S + 10
        assert isinstance(asked.exception(), llm.RealtimeError)
        await eventually(lambda: talk.followed.asked_again == [False])
        assert (await talk.answer()).text == ANSWER
        assert talk.followed.reasons == []
        await talk.aclose()


async def test_end_of_an_answer_of_openai_s_that_was_cut_off_is_not_the_next_one() -> None:
    async with http_context.open(), VendorServer(script()) as vendors:
        vendors.script.realtime_first_audio_ms = 300
        config = RealtimeConfig(api_key="key", base_url=vendors.openai, answer_s=1)
        talk = Talk(openai_realtime(config, judges_turns=False))
        talk.voice()
        talk.take_up("When is my booking?")
        await talk.session.generate_reply()
        vendors.script.faults = {Vendor.REALTIME: Fault(kind="silent", times=1)}
        talk.session.interrupt()
        talk.voice()
        talk.take_up("And on Tuesday?")
        with pytest.raises(llm.RealtimeError):
            async with asyncio.timeout(5):
                await talk.session.generate_reply()
        await eventually(lambda: talk.followed.asked_again == [False])
        assert [step["what"] for step in vendors.journal.steps].count("cancelled") == 1
        await talk.aclose()
