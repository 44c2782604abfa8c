"""A visitor who types: for want of a microphone, by choice, or by keyboard alone."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, Route, expect

from tests.browser.conftest import TOKEN, Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_refused_microphone_leaves_a_call_by_ear_and_keyboard(
    browser: Browser, visit: Visit
) -> None:
    async with visit(browser, microphone=False) as screen:
        await screen.press("launcher")
        await screen.press("start")
        await screen.shows("The microphone is blocked. You can listen, and type.", "notice")
        await screen.hears_bot()
        await screen.reads("bot", "you have reached", final=False)
        await screen.looks_right("8-microphone-refused")
        await expect(screen.part("mute")).to_be_hidden()

        # What is typed is answered by voice, and read.
        await screen.type("When are you open?")
        await screen.reads("customer", "When are you open?")
        await screen.reads("bot", "We are open", final=False)
        await screen.hears_bot()
        # And typing cuts in as a voice does.
        await screen.type("Goodbye")
        assert "Saturdays" not in await screen.reads("bot", "We are open")
        await screen.shows("The call is over. Goodbye!")


async def test_chat_needs_no_microphone_and_makes_no_sound(browser: Browser, visit: Visit) -> None:
    async with visit(browser) as screen:
        looked_at = asyncio.Event()

        async def hold(route: Route) -> None:
            await looked_at.wait()
            await route.continue_()

        await screen.page.route(TOKEN, hold)
        await screen.press("launcher")
        await screen.press("start-text")
        await screen.shows("Connecting…")
        await screen.looks_right("9-connecting")
        looked_at.set()
        await screen.reads("bot", "How can I help you?")
        await expect(screen.part("end")).to_have_text("End the chat")
        await screen.type("When are you open?")
        assert "Saturdays" in await screen.reads("bot", "We are open")
        await screen.looks_right("9-chat")
        assert await screen.page.evaluate("ears.asked") == 0
        assert await screen.spans("bot") == []
        await screen.press("end")
        await screen.shows("You hung up")


async def test_whole_call_by_keyboard(browser: Browser, visit: Visit) -> None:
    async with visit(browser) as screen:
        keyboard = screen.page.keyboard
        await expect(screen.part("launcher")).to_be_visible()
        await keyboard.press("Tab")
        await expect(screen.part("launcher")).to_be_focused()
        await keyboard.press("Enter")
        await expect(screen.part("start")).to_be_focused()
        await keyboard.press("Enter")
        await screen.hears_bot()
        message = screen.part("message")
        await expect(message).to_be_visible()
        for _ in range(10):
            if await message.evaluate("it => it.getRootNode().activeElement === it"):
                break
            await keyboard.press("Tab")
        await expect(message).to_be_focused()
        await screen.looks_right("10-keyboard")

        # The panel goes out of the way, and the call goes on.
        await keyboard.press("Escape")
        await expect(screen.part("panel")).to_be_hidden()
        await expect(screen.part("launcher")).to_be_focused()
        await keyboard.press("Enter")
        await expect(screen.part("message")).to_be_focused()
        await keyboard.type("Goodbye")
        await keyboard.press("Enter")
        await screen.shows("The call is over. Goodbye!")
        await expect(screen.part("start")).to_be_focused()
        await expect(screen.part("start")).to_have_text("Call again")
