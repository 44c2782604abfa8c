"""`python -m bench.web`: from a visitor's click to the bot's first sound, in a real browser.

A fleet of its own twice, with agents that wait for calls and without; calls one by one, each from
a browser window that knows nothing yet, timed by the page's own clock and by the sound it plays.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, async_playwright
from rich.console import Console

from bench.__main__ import show_figures
from bench.call import BOT, CONFIG, QUESTIONS
from bench.figure import Figure, figure
from bench.fleet import new_fleet, save_bot
from bench.machine import ROOT, keep
from tests.browser.chromium import running_chromium, spoken, visiting
from tests.browser.widget import Screen, shop
from voicefleet.fleet import Fleet
from voicefleet.runner import Runner

KEY = "bench"
POOLS = {"agents wait": 2, "no agent waits": 0}
POOL_TIMEOUT_S = 30.0
SETTLED_S = 1.0
"""What starting and ending a call takes of the processor is not to be the next one's."""
ASKED_AFTER_S = 7.0
MICROPHONE = (ASKED_AFTER_S, QUESTIONS[0], 20.0)


@dataclass(slots=True)
class Samples:
    """What the calls gave, in ms."""

    panel_ms: list[float] = field(default_factory=list)
    connected_ms: list[float] = field(default_factory=list)
    heard_ms: list[float] = field(default_factory=list)
    mouth_to_ear_ms: list[float] = field(default_factory=list)

    def figures(self, pool: str) -> list[Figure]:
        """Return the table's rows."""
        return [
            figure(f"click to the panel, {pool}", "ms", self.panel_ms),
            figure(f"call to connected, {pool}", "ms", self.connected_ms),
            figure(f"call to greeting heard, {pool}", "ms", self.heard_ms),
            figure(f"mouth to ear, {pool}", "ms", self.mouth_to_ear_ms),
        ]


async def measure(calls: int, waiting: int, turns: int, console: Console) -> Samples:
    """Hold calls on a fleet of their own, `turns` of them until the answer to a question."""
    samples = Samples()
    with tempfile.TemporaryDirectory(prefix="voicefleet-bench-") as folder:
        settings = {"STANDBY_AGENTS": str(waiting), "WIDGET_STARTS_PER_MINUTE": "1000"}
        fleet = new_fleet(Path(folder), os.environ | settings)
        runner = Runner(lambda _part, _line: None, restart=False)
        voice = spoken(
            Path(folder) / "voice.wav", MICROPHONE, voices=ROOT / ".voicefleet" / "caller"
        )
        try:
            with console.status("Starting a fleet …"):
                await fleet.start(runner)
            await save_bot(fleet, {**CONFIG, "bot_id": BOT, "widget_api_key": KEY})
            async with (
                async_playwright() as playwright,
                running_chromium(playwright, voice) as browser,
                shop(fleet.sidecar_url, KEY) as url,
            ):
                with console.status("Calling …") as status:
                    for number in range(calls):
                        status.update(f"Call {number + 1} of {calls} …")
                        await _pool(fleet, waiting)
                        await _call(browser, f"{url}/{BOT}", samples, asks=number < turns)
        finally:
            with console.status("Ending …"):
                await runner.stop()
    return samples


async def _call(browser: Browser, url: str, samples: Samples, *, asks: bool) -> None:
    async with visiting(browser) as page:
        await page.goto(url)
        screen = Screen(page)
        await screen.press("launcher")
        await screen.part("start").wait_for()
        clicked_ms = float(await page.evaluate("ears.clicked"))
        samples.panel_ms.append(float(await page.evaluate("performance.now()")) - clicked_ms)
        await screen.press("start")
        await screen.hears_bot()
        clicked_ms = float(await page.evaluate("ears.clicked"))
        states = await screen.told("state")
        up = next(each for each in states if each["status"] not in {"idle", "connecting"})
        samples.connected_ms.append(up["at"] - clicked_ms)
        samples.heard_ms.append((await screen.spans("bot"))[0][0] - clicked_ms)
        if asks:
            await screen.until("ears.spans.microphone.length > 0")
            await screen.until("ears.spans.bot.at(-1).start > ears.spans.microphone.at(-1).end")
            ((_, asked_ms), *_) = await screen.spans("microphone")
            answered_ms = next(s for s, _ in await screen.spans("bot") if s > asked_ms)
            samples.mouth_to_ear_ms.append(answered_ms - asked_ms)
        await screen.press("end")
        await screen.shows("You hung up")


async def _pool(fleet: Fleet, waiting: int) -> None:
    """Wait until as many agents wait, and then until it is quiet."""
    url = f"{fleet.sidecar_url}/health/fleet"
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(POOL_TIMEOUT_S):
        while (await http.get(url)).json()["standbys"]["ready"] < waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    await asyncio.sleep(SETTLED_S)


async def bench(calls: int, turns: int, console: Console) -> dict[str, Any]:
    """Run every measurement and return what `bench/out/web.json` holds."""
    figures: list[Figure] = []
    for pool, waiting in POOLS.items():
        samples = await measure(calls, waiting, turns, console)
        figures.extend(samples.figures(pool))
    return {"calls": calls, "figures": [each.to_json() for each in figures]}


def main() -> int:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20, help="calls, with and without a pool")
    parser.add_argument("--turns", type=int, default=3, help="how many of them ask a question")
    arguments = parser.parse_args()
    console = Console()
    measured = asyncio.run(bench(arguments.calls, arguments.turns, console))
    path = keep("web", measured)
    show_figures(console, "The browser", measured)
    console.print(f"Raw samples: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
