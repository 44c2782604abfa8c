"""A visitor of a page with the widget on it: what they see, hear, press and type."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.browser.chromium import SLOW_MS

ROOT = Path(__file__).parents[2]
OUT = Path(__file__).parent / "out"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
_GRAVE = {"serious", "critical"}

_SHOP = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><title>A shop</title>
<main><h1>A shop</h1><p>Whatever a shop has to say.</p></main>
<script src="{server}/widget.js" async {attributes}></script></html>"""


@asynccontextmanager
async def shop(server: str, key: str) -> AsyncIterator[str]:
    """Serve pages of another origin: `{url}/{bot_id}` has the widget of that bot."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        bot_id = head.split(maxsplit=2)[1].decode().strip("/")
        attributes = f'data-bot-id="{escape(bot_id)}" data-api-key="{escape(key)}"'
        page = _SHOP.format(server=server, attributes=attributes).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(page), page)
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server_:
        yield f"http://127.0.0.1:{server_.sockets[0].getsockname()[1]}"


@dataclass(frozen=True, slots=True)
class Screen:
    """A page with a call on it, by its parts' test ids: the widget's, or the dialler's."""

    page: Page
    prefix: str = "vf-"

    def part(self, name: str) -> Locator:
        return self.page.get_by_test_id(f"{self.prefix}{name}")

    async def press(self, name: str) -> None:
        await self.part(name).click()

    async def type(self, text: str) -> None:
        await self.part("message").fill(text)
        await self.part("message").press("Enter")

    async def shows(self, text: str, part: str = "status") -> None:
        """Wait until a part, the state unless given, says this and no more."""
        await expect(self.part(part)).to_have_text(text, timeout=SLOW_MS)

    def lines(self, speaker: str) -> Locator:
        """Return the lines of `bot` or `customer`, in their order."""
        return self.page.locator(f"ol.captions > li.{speaker} > .said")

    async def reads(self, speaker: str, words: str, *, final: bool = True) -> str:
        """Wait for a line of one side with these words in it, and return it whole."""
        kind = ".final" if final else ""
        line = self.page.locator(f"ol.captions > li.{speaker}{kind} > .said", has_text=words)
        await expect(line.last).to_be_visible(timeout=SLOW_MS)
        return await line.last.inner_text()

    async def until(self, what: str) -> None:
        """Wait until a JavaScript expression is true."""
        # Not by `wait_for_function`: a page that forbids `eval` forbids it that.
        async with asyncio.timeout(SLOW_MS / 1000):
            while not await self.page.evaluate(what):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def hears_bot(self) -> None:
        await self.until("ears.isLoud('bot')")

    async def bot_is_silent(self) -> None:
        await self.until("ears.quietMs('bot') > 800")

    async def spans(self, name: str) -> list[tuple[float, float]]:
        """Return each stretch of sound of `bot` or `microphone`: start and end in ms."""
        spans: list[dict[str, float]] = await self.page.evaluate(f"ears.spans.{name}")
        return [(span["start"], span["end"]) for span in spans]

    async def told(self, name: str) -> list[dict[str, Any]]:
        """Return what the page's listeners heard of one event, oldest first."""
        told: list[dict[str, Any]] = await self.page.evaluate("ears.told")
        return [each for each in told if each["name"] == name]

    async def statuses(self) -> list[str]:
        """Return the states there were, each once where it lasted."""
        seen: list[str] = []
        for each in await self.told("state"):
            if seen[-1:] != [each["status"]]:
                seen.append(each["status"])
        return seen

    async def looks_right(self, name: str, *, within: str = "voicefleet-widget") -> None:
        """Keep a picture, and let axe look for what keeps anybody out."""
        OUT.mkdir(exist_ok=True)
        await self.page.screenshot(path=OUT / f"{name}.png", full_page=True)
        await self.page.evaluate(AXE.read_text())
        found = await self.page.evaluate("within => axe.run(within)", within)
        grave = [
            {"rule": each["id"], "at": [node["target"] for node in each["nodes"]]}
            for each in found["violations"]
            if each["impact"] in _GRAVE
        ]
        assert not grave, f"{name}: {json.dumps(grave, indent=1)}"
