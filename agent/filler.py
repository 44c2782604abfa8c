"""Says a few words to a caller who waits long for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import structlog
from livekit import rtc

from agent.line_cache import Synthesize
from agent.manners.waiting import Waiting
from agent.room_audio import RoomAudioOutput

log = structlog.get_logger(__name__)

OnSaid = Callable[[str], None]
"""Told of each filler, by its words, once its audio is there."""


class Filler:
    """A `Waiting` with a clock and a voice.

    What it says goes past the session, which is busy with the answer: so the model never takes it
    for words of its own, and the answer's first sound ends it.

    Args:
        waiting: when to say what.
        output: the bot's voice.
        speak: makes audio of text.
        on_said: see `OnSaid`.
        is_excused: whether nobody listens.
    """

    def __init__(
        self,
        waiting: Waiting,
        output: RoomAudioOutput,
        speak: Synthesize,
        on_said: OnSaid,
        is_excused: Callable[[], bool],
    ) -> None:
        self._waiting = waiting
        self._output = output
        self._speak = speak
        self._on_said = on_said
        self._is_excused = is_excused
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._saying: asyncio.Task[None] | None = None

    def usual(self, phrases: Sequence[str]) -> None:
        """Say these from now on, unless the bot has words of its own."""
        self._waiting.usual(phrases)

    def take_up(self, waited_s: float) -> None:
        """A turn is taken up of a caller who has waited so long since they spoke."""
        self._waiting.take_up(self._loop.time() - waited_s)
        self._arrange()

    def bot_is(self, state: str) -> None:
        """The session's bot does something else by now."""
        if state == "thinking":
            self._waiting.thinks(self._loop.time())
        elif state == "speaking":
            self._waiting.speaks()
        else:
            self._waiting.rests()
        self._arrange()

    def disturb(self, is_disturbed: bool) -> None:
        """The caller speaks, or does so no more."""
        if is_disturbed:
            self._output.drop_aside()
        self._waiting.disturb(is_disturbed, self._loop.time())
        self._arrange()

    def close(self) -> None:
        """Say nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._saying is not None:
            self._saying.cancel()

    def _arrange(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._waiting.deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self._is_excused():
            # Their wait is another one.
            self._waiting.restart(self._loop.time())
        phrase = self._waiting.expire(self._loop.time())
        if phrase is not None and (self._saying is None or self._saying.done()):
            self._saying = asyncio.create_task(self._say(phrase))
        self._arrange()

    async def _say(self, phrase: str) -> None:
        is_said = False
        try:
            async for frame in self._at_rate(self._speak(phrase)):
                if not self._output.put_aside(frame):
                    break
                if not is_said:
                    is_said = True
                    self._on_said(phrase)
        except Exception as error:
            # The answer may still come; whether the voice is lost is for the answer to find out.
            log.warning("filler not said", error=type(error).__name__)
        self._output.end_aside()

    async def _at_rate(
        self, frames: AsyncIterator[rtc.AudioFrame]
    ) -> AsyncIterator[rtc.AudioFrame]:
        rate_hz = self._output.sample_rate
        resampler: rtc.AudioResampler | None = None
        async for frame in frames:
            if frame.sample_rate == rate_hz or rate_hz is None:
                yield frame
                continue
            resampler = resampler or rtc.AudioResampler(frame.sample_rate, rate_hz)
            for each in resampler.push(frame):
                yield each
        for each in resampler.flush() if resampler is not None else []:
            yield each
