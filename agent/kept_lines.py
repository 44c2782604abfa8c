"""What a bot says to every caller alike, from audio that is kept on this host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator

import structlog
from livekit import rtc
from livekit.agents import APIError
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT

from agent.engines import Engines
from agent.line_cache import LineCache
from agent.speech.tts import timed_words
from contracts.plan import AgentPlan

log = structlog.get_logger(__name__)

_AFTER_GREETING_S = 6.0
"""The greeting comes first, and what has to stand in for it."""
_BETWEEN_S = 0.5


class KeptLines:
    """A call's fixed lines: made once on a host, in some call's spare time, kept for the others.

    Args:
        plan: the call; it tells which lines are fixed.
        cache: where they are kept.
        engines: the call's; its voice makes what is not there yet.
    """

    def __init__(self, plan: AgentPlan, cache: LineCache, engines: Engines) -> None:
        opening = [plan.config.opening_message] if plan.opening_is_fixed else []
        lines = [*opening, *plan.fixed_lines]
        self._lines = list(dict.fromkeys(each for line in lines if (each := line.strip())))
        if plan.text_only or not cache.is_on:
            self._lines = []
        self._voice = plan.config.tts
        self._cache = cache
        self._engines = engines
        self._said: set[str] = set()
        self._preparing: asyncio.Task[None] | None = None

    def speak(self, text: str) -> AsyncIterator[rtc.AudioFrame]:
        """Return a line's audio: the kept one, or what is made now; a fixed line is then kept."""
        return self.keep(text) if text.strip() in self._lines else self._engines.synthesize(text)

    def keep(self, text: str) -> AsyncIterator[rtc.AudioFrame]:
        """Do the same with a line of which the caller of this knows that it is fixed."""
        engines, text = self._engines, text.strip()
        if not self._cache.is_on:
            return engines.synthesize(text)
        return self._cache.speak(
            self._voice,
            engines.pronunciations.of(text),
            lambda _: engines.synthesize(text),
            engines.speaks_itself,
        )

    def is_said(self, speech_id: str) -> None:
        """A speech is a line of the bot's own, and nothing that a model still writes."""
        self._said.add(speech_id)

    def has_said(self, speech_id: str) -> bool:
        """Return whether it is."""
        return speech_id in self._said

    async def of(self, text: AsyncIterable[str]) -> tuple[AsyncIterator[str], list[rtc.AudioFrame]]:
        """Return a line's text again, and its audio where that is kept.

        Audio comes with the times of its words, where the voice tells them: their share of the
        whole, since nobody has kept them.
        """
        line = "".join([piece async for piece in text])
        return _once(line), await self._kept(line)

    async def _kept(self, line: str) -> list[rtc.AudioFrame]:
        if line.strip() not in self._lines:
            return []
        spoken = self._engines.pronunciations.of(line.strip())
        frames = await self._cache.kept(self._voice, spoken)
        voice = self._engines.tts
        if frames and voice is not None and voice.capabilities.aligned_transcript:
            duration_s = sum(frame.duration for frame in frames)
            frames[0].userdata[USERDATA_TIMED_TRANSCRIPT] = timed_words(line, 0.0, duration_s)
        return frames

    def prepare(self) -> None:
        """Begin to make what is not there yet, one line after the other, some time into the call.

        Lines of the offline voice are not made ahead: it takes no time to ask, and the host's own
        processors, which a caller may be waiting for.
        """
        if self._lines and self._voice.provider != "offline":
            self._preparing = asyncio.create_task(self._prepare())

    async def aclose(self) -> None:
        """Make no more of them."""
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.gather(self._preparing, return_exceptions=True)

    async def _prepare(self) -> None:
        await asyncio.sleep(_AFTER_GREETING_S)
        for line in self._lines:
            spoken = self._engines.pronunciations.of(line)
            if await self._cache.has(self._voice, spoken):
                continue
            if not self._engines.speaks_itself():
                return
            try:
                async for _ in self.speak(line):
                    pass
            except APIError as error:
                log.warning("line not kept", error=type(error).__name__)
                return
            await asyncio.sleep(_BETWEEN_S)


async def _once(line: str) -> AsyncIterator[str]:
    yield line
