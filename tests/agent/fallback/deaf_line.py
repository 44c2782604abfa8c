"""Recognisers that fail as they are told, and a caller on a line with several of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, stt
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr

from agent.fallback.line_up import LineUp, Switched
from agent.fallback.stt import FallbackSTT

RATE_HZ = 8000
FRAME_S = 0.02
RESET = APIConnectionError("reset")
Kind = stt.SpeechEventType


class Recogniser(stt.STT[Any]):
    """Says how much voice it has heard, once there is quiet: "1.0 s".

    Args:
        refuses: why no stream of its comes about.
        breaks: fails as soon as it hears a voice.
        is_deaf: takes everything and answers nothing.
        finds_nothing: takes everything for noise, and says so.
        acknowledges: tells that it listens, words or none; not where it is mute.
    """

    def __init__(
        self,
        *,
        refuses: Exception | None = None,
        breaks: bool = False,
        is_deaf: bool = False,
        finds_nothing: bool = False,
        interims: bool = False,
        manual_flush: bool = False,
        acknowledges: bool = False,
    ) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=True, interim_results=interims, manual_flush=manual_flush
            )
        )
        self.refuses = refuses
        self.breaks = breaks
        self.is_deaf = is_deaf
        self.finds_nothing = finds_nothing
        self.acknowledges = acknowledges
        self.is_mute = False
        self.streams: list[_Stream] = []
        self.is_closed = False

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        kind = _AcknowledgedStream if self.acknowledges else _Stream
        stream = kind(stt=self, conn_options=conn_options)
        self.streams.append(stream)
        return stream

    def hang_up(self) -> None:
        """Lose the latest connection."""
        self.streams[-1].lost.set()

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise AssertionError("nobody asks for a whole recording")

    async def aclose(self) -> None:
        self.is_closed = True


class _Stream(stt.RecognizeStream):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.lost = asyncio.Event()

    async def _run(self) -> None:
        hearing = asyncio.create_task(self._hear())
        losing = asyncio.create_task(self.lost.wait())
        try:
            await asyncio.wait({hearing, losing}, return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                raise RESET
            hearing.result()
        finally:
            for task in (hearing, losing):
                task.cancel()

    async def _hear(self) -> None:
        owner = self._stt
        assert isinstance(owner, Recogniser)
        if owner.refuses is not None:
            raise owner.refuses
        voiced_s = quiet_s = 0.0
        async for item in self._input_ch:
            if isinstance(item, rtc.AudioFrame) and np.any(np.frombuffer(item.data, np.int16)):
                voiced_s, quiet_s = voiced_s + item.duration, 0.0
            elif isinstance(item, rtc.AudioFrame):
                quiet_s += item.duration
            if voiced_s and owner.breaks:
                raise RESET
            is_asked = isinstance(item, self._FlushSentinel)
            is_over = is_asked if owner.capabilities.manual_flush else quiet_s >= 0.2
            if voiced_s and is_over and not owner.is_deaf:
                text = "" if owner.finds_nothing else f"{voiced_s:.1f} s"
                words = stt.SpeechData(language="en", text=text)  # type: ignore[arg-type]
                self._event_ch.send_nowait(
                    stt.SpeechEvent(Kind.FINAL_TRANSCRIPT, alternatives=[words])
                )
                voiced_s = 0.0


class _AcknowledgedStream(_Stream):
    @property
    def is_mute(self) -> bool:
        assert isinstance(self._stt, Recogniser)
        return self._stt.is_mute


class Line:
    """A caller on a line with several recognisers."""

    def __init__(self, *recognisers: Recogniser) -> None:
        self.loop = asyncio.get_running_loop()
        self.line_up: LineUp[stt.STT[Any]] = LineUp(
            "stt", list(zip("abc", recognisers, strict=False)), cool_down_s=30
        )
        self.told: list[Switched] = []
        self.line_up.listener = self.told.append
        self.engine = FallbackSTT(self.line_up, first_words_s=1.5)
        self.stream = self.engine.stream()
        self.heard: list[tuple[str, float]] = []
        """Words, and when they came."""
        self.hearing = asyncio.create_task(self._hear())

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.heard]

    async def play(self, seconds: float, *, is_voice: bool) -> None:
        samples = round(FRAME_S * RATE_HZ)
        data = (b"\x00\x10" if is_voice else b"\x00\x00") * samples
        for _ in range(round(seconds / FRAME_S)):
            if self.hearing.done():
                return
            self.stream.push_frame(rtc.AudioFrame(data, RATE_HZ, 1, samples))
            await asyncio.sleep(FRAME_S)

    async def speak(self, seconds: float) -> None:
        """The caller speaks; the voice detector follows with its usual delays."""
        beginning = self.loop.call_later(0.05, self.engine.voice, True)
        await self.play(seconds, is_voice=True)
        beginning.cancel()
        self.loop.call_later(0.12, self.engine.voice, False)

    async def be_quiet(self, seconds: float) -> None:
        await self.play(seconds, is_voice=False)

    async def _hear(self) -> None:
        async for event in self.stream:
            self.heard.append((event.alternatives[0].text, self.loop.time()))


@asynccontextmanager
async def calling(*recognisers: Recogniser) -> AsyncIterator[Line]:
    line = Line(*recognisers)
    try:
        yield line
    finally:
        await line.stream.aclose()
        line.hearing.cancel()
        await asyncio.gather(line.hearing, return_exceptions=True)
