"""Talks to a realtime model as a session does, without one: a turn of the caller's, an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from livekit import rtc
from livekit.agents import llm
from livekit.agents.types import NOT_GIVEN

from tests.fakes.vendors.script import Reply, VendorScript
from tests.fakes.vendors.server import VendorServer
from tests.fakes.vendors.tone import tone

RATE_HZ = 8000
WORDS = "When is my booking?"
ANSWER = "It is on Monday."


def script() -> VendorScript:
    return VendorScript(
        realtime_first_audio_ms=20,
        realtime_speed=20,
        transcripts=[WORDS, "And on Tuesday?"],
        replies=[Reply(text=ANSWER)],
    )


def steps(vendors: VendorServer, what: str) -> list[dict[str, Any]]:
    return [step for step in vendors.journal.steps if step["what"] == what]


@dataclass
class Followed:
    """What a model told of its troubles."""

    asked_again: list[bool] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def ask_again(self, *, has_begun: bool) -> None:
        self.asked_again.append(has_begun)

    def weigh(self) -> None:
        pass

    def lost(self, why: str) -> None:
        self.reasons.append(why)


@dataclass
class Answer:
    """One generation, collected."""

    text: str = ""
    audio_s: float = 0.0
    loudest: int = 0
    message_id: str = ""
    calls: list[llm.FunctionCall] = field(default_factory=list)


class Talk:
    """A model and its session, both closed by `aclose`."""

    def __init__(self, model: Any, is_bot_heard: Callable[[], bool] = lambda: False) -> None:
        self.model = model
        self.followed = Followed()
        model.follow(self.followed, is_bot_heard)
        self.session = model.session()
        self.errors: list[Exception] = []
        self.unasked: asyncio.Queue[llm.GenerationCreatedEvent] = asyncio.Queue()
        self.session.on("error", lambda event: self.errors.append(event.error))
        self.session.on("generation_created", self._on_generation)

    async def aclose(self) -> None:
        await self.session.aclose()
        await self.model.aclose()

    def voice(self, seconds: float = 0.6) -> None:
        """Let the caller speak, in the phone's frames."""
        for frame in frames(tone(440.0, seconds, RATE_HZ).tobytes()):
            self.session.push_audio(frame)
            self.session.start_user_activity()

    def silence(self, seconds: float) -> None:
        for frame in frames(bytes(2 * round(seconds * RATE_HZ))):
            self.session.push_audio(frame)

    async def ask(self, words: str = "When is my booking?", **how: Any) -> Answer:
        """Let the caller take a turn, and return the answer."""
        self.voice()
        self.take_up(words)
        return await self.answer(**how)

    def take_up(self, words: str, order: str = "") -> None:
        self.session.commit_audio()
        self.model.caller_said(llm.ChatMessage(role="user", content=[words]), order)

    async def answer(self, **how: Any) -> Answer:
        async with asyncio.timeout(15):
            # As the framework does, order or no order.
            how.setdefault("instructions", NOT_GIVEN)
            return await collect(await self.session.generate_reply(**how))

    async def next_answer(self) -> Answer:
        """Return the answer that the model gives without being asked."""
        async with asyncio.timeout(15):
            return await collect(await self.unasked.get())

    def _on_generation(self, event: llm.GenerationCreatedEvent) -> None:
        if not event.user_initiated:
            self.unasked.put_nowait(event)


def frames(pcm: bytes) -> list[rtc.AudioFrame]:
    size = 2 * RATE_HZ // 50
    pieces = [pcm[start : start + size] for start in range(0, len(pcm), size)]
    return [rtc.AudioFrame(piece, RATE_HZ, 1, len(piece) // 2) for piece in pieces]


async def collect(event: llm.GenerationCreatedEvent) -> Answer:
    found = Answer()
    async for message in event.message_stream:
        found.message_id = message.message_id

        async def texts(message: llm.MessageGeneration = message) -> None:
            async for text in message.text_stream:
                found.text += text

        async def sounds(message: llm.MessageGeneration = message) -> None:
            async for frame in message.audio_stream:
                assert frame.sample_rate == 24_000
                found.audio_s += frame.duration
                found.loudest = max(found.loudest, *map(abs, frame.data))

        await asyncio.gather(texts(), sounds())
    async for call in event.function_stream:
        found.calls.append(call)
    return found


async def eventually(happened: Callable[[], bool], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not happened():  # noqa: ASYNC110 - a vendor tells nobody who connects
            await asyncio.sleep(0.01)
