"""The dialler page: a bot is picked, called and looked at, on a desk and on a phone's screen."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, ConsoleMessage, expect

from tests.browser.chromium import SLOW_MS, visiting
from tests.browser.widget import Screen
from tests.integration.platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")
_CLOSED_LINE = re.compile("data ?channel", re.IGNORECASE)
_PHONE_PX = (390, 844)


async def signed_in(screen: Screen, platform: Platform) -> None:
    await screen.page.goto(f"{platform.fleet.sidecar_url}/dialler")
    await screen.part("key").fill(platform.fleet.environ["ADMIN_API_KEY"])
    await screen.press("sign-in")
    await expect(screen.part("order")).to_be_visible(timeout=SLOW_MS)


async def test_call_is_placed_followed_and_played_back(
    platform: Platform, speaking_browser: Browser
) -> None:
    async with visiting(speaking_browser, height=900) as page:
        screen = Screen(page, prefix="")
        complaints: list[str] = []

        def note(message: ConsoleMessage) -> None:
            # LiveKit's client complains of every line that the other side closes.
            if message.type == "error" and not _CLOSED_LINE.search(message.text):
                complaints.append(message.text)

        page.on("console", note)
        await signed_in(screen, platform)
        await screen.part("bot").select_option("knowing")
        name = page.get_by_label("customer_name")
        await expect(name).to_be_visible()
        await name.fill("Samantha")
        await screen.looks_right("20-dialler-order", within="html")
        await screen.press("call")
        await screen.hears_bot()
        await screen.reads("bot", "Hello Samantha.")
        # Asked aloud: what is typed has no end to measure an answer from.
        await screen.reads("bot", "We are open", final=False)
        events = screen.part("events")
        await expect(events).to_contain_text("are you open?", timeout=SLOW_MS)
        turn = screen.part("latency").locator("tbody tr").first
        await expect(turn).to_contain_text("ms", timeout=SLOW_MS)
        await screen.looks_right("21-dialler-call", within="html")
        # Or the microphone's second question cuts the goodbye off.
        await screen.press("mute")
        await screen.type("Goodbye")
        await screen.shows("The call is over. Goodbye!")

        await expect(screen.part("result")).to_contain_text("disconnected_by", timeout=SLOW_MS)
        recording = screen.part("recording")
        await expect(recording).to_be_visible(timeout=SLOW_MS)
        await recording.evaluate("player => player.play()")
        await screen.until("document.querySelector('audio[controls]').currentTime > 0.5")
        assert await recording.evaluate("player => player.duration") > 3
        await recording.evaluate("player => player.pause()")
        await screen.looks_right("22-dialler-result", within="html")
        assert complaints == []


async def test_page_fits_a_phone(platform: Platform, browser: Browser) -> None:
    async with visiting(browser, width=_PHONE_PX[0], height=_PHONE_PX[1]) as page:
        screen = Screen(page, prefix="")
        await signed_in(screen, platform)
        await screen.part("bot").select_option("talker")
        await screen.press("chat")
        await screen.reads("bot", "How can I help you?")
        await screen.looks_right("23-dialler-phone", within="html")
        assert await page.evaluate("document.documentElement.scrollWidth") <= _PHONE_PX[0]
        await screen.press("end")
        await screen.shows("You hung up")


async def test_wrong_key_is_refused(platform: Platform, browser: Browser) -> None:
    async with visiting(browser) as page:
        screen = Screen(page, prefix="")
        await page.goto(f"{platform.fleet.sidecar_url}/dialler")
        await screen.part("key").fill("not-the-key")
        await screen.press("sign-in")
        await expect(screen.part("problem")).not_to_be_empty(timeout=SLOW_MS)
        await screen.looks_right("24-dialler-refused", within="html")
