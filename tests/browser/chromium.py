"""Debian's Chromium as tests drive it: headless, with a waveform for a microphone."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page, Playwright

from voicefleet.caller_voice import speak

PROGRAM = Path("/usr/bin/chromium")
RATE_HZ = 48_000
SLOW_MS = 20_000
"""How long anything may take on a machine that has much to do."""
_EARS = Path(__file__).with_name("ears.js")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream",
)  # fmt: skip


@asynccontextmanager
async def running_chromium(playwright: Playwright, microphone: Path) -> AsyncIterator[Browser]:
    """Start a browser, with a profile of its own, whose microphones play a WAV again and again.

    Nobody is asked for the microphone: a page has it, or it is refused; see `visiting`.
    """
    browser = await playwright.chromium.launch(
        executable_path=PROGRAM,
        args=[*_FLAGS, f"--use-file-for-fake-audio-capture={microphone}"],
    )
    try:
        yield browser
    finally:
        await browser.close()


@asynccontextmanager
async def visiting(
    browser: Browser, *, microphone: bool = True, width: int = 1000, height: int = 760
) -> AsyncIterator[Page]:
    """Open a page of a visitor of its own, with ears in it (`ears.js`).

    Args:
        microphone: whether the visitor lets pages have it.
        width: of the window, in pixels.
        height: likewise.
    """
    context: BrowserContext = await browser.new_context(
        viewport={"width": width, "height": height},
        permissions=["microphone"] if microphone else [],
    )
    context.set_default_timeout(SLOW_MS)
    try:
        await context.add_init_script(path=_EARS)
        yield await context.new_page()
    finally:
        await context.close()


def spoken(path: Path, parts: Sequence[str | float], *, voices: Path) -> Path:
    """Write a WAV of words and of silences in seconds, for a microphone."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        for part in parts:
            if isinstance(part, str):
                file.writeframes(speak(part, RATE_HZ, cache_path=voices))
            else:
                file.writeframes(bytes(2 * int(part * RATE_HZ)))
    return path
