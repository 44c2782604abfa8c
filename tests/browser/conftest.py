"""One fleet, its LiveKit server behind a network that can fail, and browsers before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
import yaml
from playwright.async_api import Browser, Playwright, async_playwright

from tests.browser.chromium import PROGRAM, running_chromium, spoken, visiting
from tests.browser.widget import AXE, OUT, ROOT, Screen, shop
from tests.fakes.detour import Detour
from tests.fakes.missing import Required, missing
from tests.integration.bots import CLOSED, TALKER
from tests.integration.conftest import pytest_runtest_makereport as pytest_runtest_makereport
from tests.integration.platform import Platform, running_platform
from voicefleet.fleet import Fleet

KEY = "a-key-that-every-visitor-can-read"
BOTS: dict[str, dict[str, Any]] = {
    "talker": {
        **TALKER,
        "re_engagement": None,
        "no_response_seconds": 60,
        "dead_air_seconds": 60,
    },
    "closed": CLOSED,
    "elsewhere": {**TALKER, "widget_allowed_origins": ["https://elsewhere.example"]},
    "knowing": {**TALKER, "opening_message": "Hello {{call.customer_name}}. How can I help you?"},
}
TOKEN = "**/api/v1/widget/token"
"""Where a widget asks for a call."""
CALLS_AT_ONCE = 3
QUESTION = "When are you open?"
CONVERSATION = (6.5, QUESTION, 3.5, QUESTION, 20.0)
"""What the speaking browser's microphone gives, from when it is opened on: a question, and again
amid its answer."""


class Visit(Protocol):
    """Opens a page with a bot's widget in a browser's window of its own."""

    def __call__(
        self, browser: Browser, bot_id: str = ..., *, microphone: bool = ...
    ) -> AbstractAsyncContextManager[Screen]: ...


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the pictures are."""
    if OUT.is_dir():
        terminalreporter.write_line(f"pictures of the browser's states: {OUT}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """What drives browsers, where there is one."""
    if not PROGRAM.exists():
        missing(Required.CHROMIUM, f"Chromium: {PROGRAM} (Debian's package chromium)")
    for path in (ROOT / "web" / "dist" / "widget.js", AXE):
        if not path.is_file():
            missing(Required.CHROMIUM, f"{path}: run `make web`")
    async with async_playwright() as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Browser]:
    """A browser whose microphone gives silence."""
    path = tmp_path_factory.mktemp("microphone") / "silence.wav"
    spoken(path, (5.0,), voices=path.parent)
    async with running_chromium(playwright, path) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def speaking_browser(
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Browser]:
    """A browser whose visitor asks a question, and cuts the answer short."""
    path = tmp_path_factory.mktemp("microphone") / "conversation.wav"
    spoken(path, CONVERSATION, voices=ROOT / ".voicefleet" / "caller")
    async with running_chromium(playwright, path) as running:
        yield running


class Network:
    """The way from the browsers to the LiveKit server.

    Attributes:
        detour: what carries it, once the fleet is there.
    """

    detour: Detour

    @asynccontextmanager
    async def before(self, fleet: Fleet) -> AsyncIterator[str]:
        """Stand before a fleet's LiveKit server, and give the address."""
        config = yaml.safe_load((fleet.home / "run" / "livekit.yaml").read_text())
        async with Detour(fleet.livekit_url, config["rtc"]["udp_port"]) as self.detour:
            yield self.detour.url


@pytest.fixture(scope="session")
def network() -> Network:
    return Network()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(
    playwright: Playwright, network: Network, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """A running fleet with some bots that have widgets."""
    folder: Path = tmp_path_factory.mktemp("fleet")
    async with running_platform(
        folder,
        browsers=network.before,
        WEB_MAX_CALLS=str(CALLS_AT_ONCE),
        # A machine that others load as well is no reason to call the house full.
        WEB_JOIN_TIMEOUT_S="10",
        WIDGET_STARTS_PER_MINUTE="1000",
    ) as running:
        for bot_id, config in BOTS.items():
            await running.save_bot(bot_id, {**config, "widget_api_key": KEY})
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def visit(platform: Platform) -> AsyncIterator[Visit]:
    """How visitors come to a bot's page."""
    async with shop(platform.fleet.sidecar_url, KEY) as url:

        @asynccontextmanager
        async def open_page(
            browser: Browser, bot_id: str = "talker", *, microphone: bool = True
        ) -> AsyncIterator[Screen]:
            async with visiting(browser, microphone=microphone) as page:
                await page.goto(f"{url}/{bot_id}")
                screen = Screen(page)
                try:
                    yield screen
                finally:
                    # Whose page is only closed is missed for a while, and keeps a line busy.
                    await page.evaluate("document.querySelector('voicefleet-widget').end()")

        yield open_page
