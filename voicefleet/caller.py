"""A scripted caller: waits its turn, speaks, listens, hangs up."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from bridges.audio.waveform import loud_spans
from voicefleet.script import HangUp, Interrupt, Pause, Play, Say, Scenario, WaitFor

RATE_HZ = 8000
SILENCE_S = 0.7
"""How long the bot must be silent before the caller takes a turn."""
PATIENCE_S = 20.0
"""How long the bot may take to begin to answer, and to hang up at the end."""
_INTERRUPT_AFTER_S = 0.8
_POLL_S = 0.04


class Line(Protocol):
    """The phone in the caller's hand; `bridges.phone.Phone` is one."""

    @property
    def now_s(self) -> float: ...

    @property
    def is_open(self) -> bool: ...

    async def say(self, pcm: bytes) -> float: ...

    def heard(self) -> bytes: ...

    async def wait_closed(self, timeout_s: float) -> int: ...


class BotLines(Protocol):
    """What the bot is known to have said; `voicefleet.follow.Follower` knows it."""

    def mark(self) -> None:
        """Only lines from here on count."""

    async def wait_for_line(self, pattern: str) -> None:
        """Wait for a line of the bot that matches."""


class CallerStuck(Exception):
    """The script can't go on.

    Attributes:
        step: the number of the step, from 1.
    """

    def __init__(self, step: int, why: str) -> None:
        super().__init__(f"step {step}: {why}")
        self.step = step


class Caller:
    """Plays one scenario on one line. `voice` turns words into PCM; `sleep` lets time pass."""

    def __init__(
        self,
        line: Line,
        bot: BotLines,
        voice: Callable[[str], bytes],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._line = line
        self._bot = bot
        self._voice = voice
        self._sleep = sleep
        self._spoke_until_s = 0.0
        self._step = 0

    async def play(self, scenario: Scenario) -> None:
        """Do every step. Leaves the line open where the last one hangs up.

        Raises:
            CallerStuck: the bot said nothing, not what was waited for, or hung up too early.
        """
        heard_out = False
        for self._step, step in enumerate(scenario.steps, 1):
            heard_out = heard_out and isinstance(step, HangUp)
            match step:
                case Say():
                    await self._turn()
                    await self._speak(self._voice(step.say))
                case Play():
                    await self._turn()
                    await self._speak(read_wav(step.play))
                case Interrupt():
                    await self._bot_speaks()
                    await self._sleep(_INTERRUPT_AFTER_S)
                    await self._speak(self._voice(step.interrupt))
                case WaitFor():
                    await self._wait_for(step)
                    heard_out = True
                case Pause():
                    await self._sleep(step.pause_s)
                case HangUp():
                    # A line is known once it has been heard to its end.
                    if not heard_out:
                        await self._turn()
                    return
        try:
            await self._line.wait_closed(PATIENCE_S)
        except TimeoutError:
            raise self._stuck("the bot did not hang up") from None

    async def _speak(self, pcm: bytes) -> None:
        self._bot.mark()
        try:
            await self._line.say(pcm)
        except ConnectionError as error:
            raise self._stuck(str(error)) from error
        self._spoke_until_s = self._line.now_s

    async def _wait_for(self, step: WaitFor) -> None:
        waiting = asyncio.create_task(self._bot.wait_for_line(step.wait_for))
        try:
            async with asyncio.timeout(step.timeout_s):
                await waiting
        except TimeoutError:
            raise self._stuck(f"the bot did not say {step.wait_for!r}") from None

    async def _turn(self) -> None:
        """Wait until the bot has said something since we spoke, and has stopped."""
        last_s = await self._bot_speaks()
        while self._line.is_open and self._line.now_s - last_s < SILENCE_S:
            await self._sleep(_POLL_S)
            last_s = self._last_heard_s(last_s) or last_s

    async def _bot_speaks(self) -> float:
        """Wait until the bot has said something since we spoke; return when it was last heard."""
        deadline_s = max(self._spoke_until_s, self._line.now_s) + PATIENCE_S
        while True:
            last_s = self._last_heard_s(self._spoke_until_s)
            if last_s is not None:
                return last_s
            if not self._line.is_open:
                raise self._stuck("the bot has hung up")
            if self._line.now_s > deadline_s:
                raise self._stuck(f"the bot said nothing for {PATIENCE_S:g} s")
            await self._sleep(_POLL_S)

    def _last_heard_s(self, since_s: float) -> float | None:
        # Looking at the last seconds only keeps a long call cheap.
        since_s = max(since_s, self._line.now_s - 2 * PATIENCE_S)
        spans = loud_spans(self._line.heard()[int(since_s * RATE_HZ) * 2 :], rate_hz=RATE_HZ)
        return since_s + spans[-1].end_s if spans else None

    def _stuck(self, why: str) -> CallerStuck:
        return CallerStuck(self._step, why)


def read_wav(path: Path) -> bytes:
    """Return a WAV's PCM; only the phone's own format will do.

    Raises:
        ValueError: another format.
    """
    with wave.open(str(path), "rb") as file:
        found = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if found != (1, 2, RATE_HZ):
            raise ValueError(
                f"{path} has {found[0]} channel(s), {8 * found[1]} bit, {found[2]} Hz; "
                f"a phone needs 1 channel, 16 bit, {RATE_HZ} Hz"
            )
        return file.readframes(file.getnframes())
