"""What one caller does in a call, step by step; the same for every product."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from websockets.exceptions import WebSocketException

from bench.peer.caller import Caller, Recording
from bench.peer.line import Line
from bench.peer.speech import Phrasebook
from bench.peer.turn import ANSWER_TIMEOUT_S

RING_S = 1.5
GREETING_TIMEOUT_S = 10.0
LONGEST_ANSWER_S = 15.0
SILENCE_BEFORE_SPEAKING_S = 0.6
"""Silence of the bot after which a caller takes it for finished."""
THINKING_S = (0.2, 0.7)
"""Then a caller takes this long, by chance, before speaking."""
TALK_BEFORE_BARGE_IN_S = 1.2

KINDS = ("plain", "interrupt", "hesitant")
"""In turn: a sentence whose answer is heard out; one whose answer is talked over (the protest is
answered in its turn); one with a pause in it."""


class Gate:
    """Where callers wait for one another, so that all talk at once and none leaves early.

    `held`: even when all have come, only `open` lets them on.
    """

    def __init__(self, callers: int, *, held: bool = False) -> None:
        self._missing = callers
        self._held = held
        self._come = asyncio.Event()
        self._all_come = asyncio.Event()
        self._open = asyncio.Event()

    async def pass_through(self) -> None:
        """Wait until the gate opens."""
        self.give_up()
        await self._open.wait()

    def give_up(self) -> None:
        """Count a caller who does not wait."""
        self._missing -= 1
        self._come.set()
        if self._missing <= 0:
            self._all_come.set()
            if not self._held:
                self._open.set()

    async def first(self) -> None:
        """Wait for the first caller."""
        await self._come.wait()

    async def complete(self) -> None:
        """Wait until all callers have come."""
        await self._all_come.wait()

    def open(self) -> None:
        """Let them on."""
        self._open.set()


class Talk:
    """Holds calls by one script.

    Args:
        url: where a call goes.
        line: makes the carrier's end of the protocol.
        turns: steps per call.
        message_ms: how much caller audio goes into a message.
    """

    def __init__(
        self,
        url: str,
        line: Callable[[], Line],
        phrases: Phrasebook,
        *,
        turns: int,
        message_ms: int,
        seed: int = 0,
    ) -> None:
        self._url = url
        self._line = line
        self._phrases = phrases
        self._turns = turns
        self._message_ms = message_ms
        self._seed = seed

    async def hold(self, number: int, *, early: bool, greeted: Gate, done: Gate) -> Recording:
        """Place one call and talk; `greeted` is told of its beginning, `done` ends it."""
        recording = Recording(number, early)
        pending = [greeted, done]
        try:
            async with Caller.call(
                self._url,
                self._line(),
                recording,
                ring_s=RING_S if early else 0.0,
                message_ms=self._message_ms,
            ) as caller:
                await caller.until_heard(0.0, GREETING_TIMEOUT_S)
                await caller.until_silent(SILENCE_BEFORE_SPEAKING_S, LONGEST_ANSWER_S)
                pending.remove(greeted)
                greeted.give_up()
                await self._talk(caller, Random(f"{self._seed}:{number}"))
                if not caller.is_open:
                    recording.problem = "the far end hung up"
                pending.remove(done)
                await done.pass_through()
        except (OSError, TimeoutError, WebSocketException) as error:
            recording.problem = f"{type(error).__name__}: {error}"
        for gate in pending:
            gate.give_up()
        return recording

    async def _talk(self, caller: Caller, random: Random) -> None:
        number = caller.recording.number
        for step in range(self._turns):
            await asyncio.sleep(random.uniform(*THINKING_S))
            if not caller.is_open:
                return
            kind = KINDS[(step + number) % len(KINDS)]
            pool = self._phrases.hesitant if kind == "hesitant" else self._phrases.plain
            # Neither chance nor order: over a run every sentence is said equally often.
            said = await caller.say(kind, pool[(step * 3 + number) % len(pool)])
            if not await caller.until_heard(said.end_s, ANSWER_TIMEOUT_S):
                continue
            if kind == "interrupt":
                await asyncio.sleep(TALK_BEFORE_BARGE_IN_S)
                protests = self._phrases.protests
                said = await caller.say("protest", protests[(step + number) % len(protests)])
                await caller.until_heard(said.end_s, ANSWER_TIMEOUT_S)
            await caller.until_silent(SILENCE_BEFORE_SPEAKING_S, LONGEST_ANSWER_S)
