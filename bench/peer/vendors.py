"""The stand-in vendors as a process of their own, with a journal."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import ROOT

LLM_FIRST_TOKEN_MS = 200
LLM_TOKEN_MS = 20
TTS_FIRST_AUDIO_MS = 120
START_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Vendors:
    """Where they are, and how long they take.

    Attributes:
        deepgram: with its path, as LiveKit's plug-in takes it; so the other two.
    """

    port: int
    deepgram: str
    openai: str
    elevenlabs: str
    journal: Path
    stt_final_ms: int

    @property
    def fixed_ms(self) -> int:
        """What of every turn is theirs: nothing a product does can shorten it."""
        return self.stt_final_ms + LLM_FIRST_TOKEN_MS + TTS_FIRST_AUDIO_MS


@asynccontextmanager
async def running_vendors(stt_final_ms: int, journal: Path) -> AsyncIterator[Vendors]:
    """Start them, and end them at the end of the block."""
    delays = {
        "--stt-final-ms": stt_final_ms,
        "--llm-first-token-ms": LLM_FIRST_TOKEN_MS,
        "--llm-token-ms": LLM_TOKEN_MS,
        "--tts-first-audio-ms": TTS_FIRST_AUDIO_MS,
    }
    options = [str(word) for option in delays.items() for word in option]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.vendors", "--port", "0", "--log", str(journal),
        *options,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT_S):
            said = json.loads(await process.stdout.readline())
        places = (said["deepgram"], said["openai"], said["elevenlabs"])
        yield Vendors(said["port"], *places, journal, stt_final_ms)
    finally:
        process.terminate()
        await process.wait()
