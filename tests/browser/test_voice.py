"""A visitor who speaks: heard, understood, cut in, muted, and gone with the network."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, expect

from tests.browser.chromium import SLOW_MS
from tests.browser.conftest import Network, Visit
from tests.browser.ledger import ended_call
from tests.integration.platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_visitor_hears_is_understood_and_cuts_in(
    platform: Platform, speaking_browser: Browser, visit: Visit
) -> None:
    async with visit(speaking_browser) as screen:
        await screen.press("launcher")
        await screen.looks_right("1-idle")
        await screen.press("start")
        await screen.shows("Speaking")
        await screen.hears_bot()
        await screen.shows("Listening")
        await screen.looks_right("2-greeted")

        # The greeting was heard, and its words were read while they were.
        ((greeted_ms, greeting_over_ms), *_) = await screen.spans("bot")
        captions = [each for each in await screen.told("caption") if each["speaker"] == "bot"]
        assert greeting_over_ms - greeted_ms > 2000
        assert -500 < captions[0]["at"] - greeted_ms < 1000
        assert len(captions) > 5

        await screen.reads("customer", "open")
        await screen.reads("bot", "We are open", final=False)
        await screen.looks_right("3-answered")
        # The rest is cut off by the next question, in what is read and in what is heard.
        await expect(screen.lines("customer")).to_have_count(2, timeout=SLOW_MS)
        await expect(screen.lines("bot")).to_have_count(3, timeout=SLOW_MS)
        cut = await screen.lines("bot").nth(1).inner_text()
        assert cut.startswith("We are open")
        assert "Saturdays" not in cut
        _, answer, again, *_ = await screen.spans("bot")
        _, (protest_ms, protest_over_ms), *_ = await screen.spans("microphone")
        assert answer[0] < protest_ms < answer[1] < protest_ms + 1500
        assert again[0] > protest_over_ms

        await screen.type("Goodbye")
        await screen.shows("The call is over. Goodbye!")
        await screen.looks_right("4-ended-by-bot")
        assert [each["reason"] for each in await screen.told("ended")] == ["bot"]
        assert {"connecting", "listening", "thinking", "speaking", "ended"} <= set(
            await screen.statuses()
        )
        (ended,) = await screen.told("ended")
    call = await ended_call(platform, ended["callId"])
    assert call["reason"] == "bot_ended"


async def test_muted_visitor_is_not_heard(speaking_browser: Browser, visit: Visit) -> None:
    async with visit(speaking_browser) as screen:
        await screen.press("launcher")
        await screen.press("start")
        await screen.press("mute")
        await screen.shows("You are muted", "notice")
        # The device gives words all the same.
        await screen.until("ears.spans.microphone.length > 0")
        await screen.until("ears.quietMs('microphone') > 1500")
        assert await screen.lines("customer").count() == 0
        assert len(await screen.spans("bot")) == 1
        assert await screen.part("level").get_attribute("value") in {None, "0"}
        await screen.looks_right("5-muted")

        await screen.press("mute")
        await expect(screen.part("notice")).to_be_hidden()
        # What is said from now on is heard again.
        await expect(screen.lines("customer").first).to_be_visible(timeout=20_000)
        await screen.press("end")
        await screen.shows("You hung up")
        await screen.looks_right("6-ended-by-visitor")


async def test_call_outlives_three_seconds_without_network(
    browser: Browser, visit: Visit, network: Network
) -> None:
    async with visit(browser) as screen:
        await screen.press("launcher")
        await screen.press("start")
        await screen.hears_bot()
        outage = asyncio.create_task(network.detour.outage(3.0))
        await screen.shows("The connection is lost. Reconnecting…")
        await screen.looks_right("7-reconnecting")
        await outage
        await expect(screen.part("status")).not_to_contain_text("lost", timeout=SLOW_MS)

        await screen.type("When are you open?")
        await screen.reads("bot", "We are open", final=False)
        await screen.hears_bot()
        assert (await screen.statuses()).count("reconnecting") == 1
