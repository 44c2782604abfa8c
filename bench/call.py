"""One call at a time on a fleet of its own, measured from the waveform as the phone plays it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.figure import Figure, figure
from bench.split import SplitTurn, measured_turns
from bench.usage import Meter, memory, roles
from bridges.phone import FRAME_S, Phone
from voicefleet.caller_voice import speak

BOT = "bench"
CONFIG: dict[str, Any] = {
    "opening_message": "Hello, this is the information line. How can I help you?",
    "stream_anonymous": True,
    "webhook_url": "",
    "llm": {
        "provider": "rules",
        "rules": {
            "intents": [
                {"name": "hours", "phrases": ["when are you open"], "say":
                    "We are open from nine in the morning until five in the afternoon, from Monday"
                    " to Friday, and on Saturdays from ten until two."},
                {"name": "parking", "phrases": ["where can I park my car"], "say":
                    "There is a car park right behind the building."},
                {"name": "price", "phrases": ["how much is a ticket"], "say":
                    "A ticket is twelve dollars."},
            ],
        },
    },
}  # fmt: skip
QUESTIONS = ("How much is a ticket?", "Where can I park my car?", "When are you open?")
PROTEST = "Sorry, I have another question."
RING_S = 1.5
TALK_BEFORE_BARGE_IN_S = 0.6
HEALTH_REQUESTS = 500
POOL = 2
POOL_TIMEOUT_S = 30.0
SEAT_S = 2.5


@dataclass(slots=True)
class Samples:
    """What all calls gave, in ms unless the name says otherwise."""

    greeting_early_ms: list[float] = field(default_factory=list)
    greeting_at_once_ms: list[float] = field(default_factory=list)
    mouth_to_ear_ms: list[float] = field(default_factory=list)
    barge_in_ms: list[float] = field(default_factory=list)
    health_bridge_ms: list[float] = field(default_factory=list)
    health_sidecar_ms: list[float] = field(default_factory=list)
    turns: list[SplitTurn] = field(default_factory=list)
    underruns: int = 0
    cpu_percent: list[dict[str, float]] = field(default_factory=list)
    memory_mb: list[dict[str, Any]] = field(default_factory=list)

    def figures(self) -> list[Figure]:
        """Return the table's rows."""
        return [
            figure("answer to greeting, joined while ringing", "ms", self.greeting_early_ms),
            figure("answer to greeting, answered at once", "ms", self.greeting_at_once_ms),
            figure("mouth to ear", "ms", self.mouth_to_ear_ms),
            figure("barge-in: voice to silence", "ms", self.barge_in_ms),
            figure("/health/fleet of the bridge", "ms", self.health_bridge_ms),
            figure("/health/fleet of the sidecar", "ms", self.health_sidecar_ms),
        ]


class CallBench:
    """Places calls on a running fleet and collects samples."""

    def __init__(self, bridge_url: str, sidecar_url: str, voices: Path, api_key: str) -> None:
        self._url = f"{bridge_url}/ws/{BOT}"
        self._health = {
            "bridge": f"{bridge_url.replace('ws', 'http', 1)}/health/fleet",
            "sidecar": f"{sidecar_url}/health/fleet",
        }
        self._said = {text: speak(text, cache_path=voices) for text in (*QUESTIONS, PROTEST)}
        self._root = psutil.Process()
        self._sidecar_url, self._api_key = sidecar_url, api_key
        self.samples = Samples()

    async def conversation(self, number: int) -> None:
        """One call that rings first, asks every question, and talks over the last answer."""
        samples = self.samples
        async with Phone.call(self._url, stream_id=f"bench-{number}", ring_s=RING_S) as phone:
            meter = Meter(lambda: roles(self._root))
            samples.greeting_early_ms.append(1000 * await phone.wait_for_audio())
            await phone.hear()
            for question in QUESTIONS:
                await phone.say(self._said[question])
                await _until_loud(phone, phone.now_s)
                if question != QUESTIONS[-1]:
                    await phone.hear()
            await asyncio.sleep(TALK_BEFORE_BARGE_IN_S)
            await phone.say(self._said[PROTEST])
            await phone.hear()
            samples.cpu_percent.append(meter.stop())
            samples.memory_mb.append(_memory(self._root))
            samples.underruns += phone.underruns
            *questions, protest = phone.caller_audio_segments()
            heard = phone.bot_audio_segments()
        waits_ms = []
        for spoken in questions:
            started_s = next(span.start_s for span in heard if span.start_s > spoken.end_s)
            waits_ms.append(1000 * (started_s - spoken.end_s))
        samples.mouth_to_ear_ms.extend(waits_ms)
        # The protest is a turn as well, which nobody timed.
        measured = (await self._measured(f"bench-{number}"))[: len(waits_ms)]
        if len(measured) == len(waits_ms):
            samples.turns.extend(map(SplitTurn, waits_ms, measured))
        cut = [span for span in heard if span.start_s < protest.start_s < span.end_s]
        samples.barge_in_ms.extend(1000 * (span.end_s - protest.start_s) for span in cut)

    async def _measured(self, stream_id: str) -> list[dict[str, Any]]:
        headers = {"X-API-Key": self._api_key}
        async with httpx.AsyncClient(
            base_url=self._sidecar_url, headers=headers, trust_env=False
        ) as api:
            return await measured_turns(api, stream_id)

    async def at_once(self, number: int) -> None:
        """One call whose first message is already the answer, made when an agent waits for it."""
        await self._pool()
        async with Phone.call(self._url, stream_id=f"at-once-{number}") as phone:
            self.samples.greeting_at_once_ms.append(1000 * await phone.wait_for_audio())

    async def _pool(self) -> None:
        """Wait until an agent waits, and the bridge sits beside it; then until it is quiet."""
        async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(POOL_TIMEOUT_S):
            while await self._waiting(http) < POOL:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.2)
        await asyncio.sleep(SEAT_S)

    async def _waiting(self, http: httpx.AsyncClient) -> int:
        return int((await http.get(self._health["sidecar"])).json()["standbys"]["ready"])

    async def health(self) -> None:
        """Ask both health endpoints again and again while a call is up."""
        async with (
            Phone.call(self._url, stream_id="bench-health") as phone,
            httpx.AsyncClient(trust_env=False) as http,
        ):
            await phone.wait_for_audio()
            for name, took in (
                ("bridge", self.samples.health_bridge_ms),
                ("sidecar", self.samples.health_sidecar_ms),
            ):
                for _ in range(HEALTH_REQUESTS):
                    began = time.perf_counter()
                    (await http.get(self._health[name])).raise_for_status()
                    took.append(1000 * (time.perf_counter() - began))


async def _until_loud(phone: Phone, after_s: float, timeout_s: float = 10.0) -> None:
    # Asks for a number, not for the waveform: working that out would hold up the phone's clock.
    async with asyncio.timeout(timeout_s):
        while phone.loud_until_s <= after_s:  # noqa: ASYNC110 - sound is not an event
            await asyncio.sleep(FRAME_S)


def _memory(root: psutil.Process) -> dict[str, Any]:
    return {
        role: [
            {"rss": round(r.rss_mb), "pss": round(r.pss_mb), "uss": round(r.uss_mb)} for r in held
        ]
        for role, held in memory(root).items()
    }
