"""One caller on one line: speaks in real time and keeps what both kinds of phone would play.

The same caller for either product. Two ears hear every call: a carrier's without a jitter buffer,
and one with 100 ms of it. Nothing is judged while a call runs; `Recording` is judged afterwards.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.peer.line import Line
from bench.peer.speech import RATE_HZ, Sentence
from bridges.audio.ear import Ear
from bridges.race import cancel
from bridges.wire.dialler_event import BotAudio, BotHungUp, BotStopped

FRAME_MS = 20
FRAME_S = FRAME_MS / 1000
FRAME_BYTES = RATE_HZ * FRAME_MS // 1000 * 2
SILENCE = bytes(FRAME_BYTES)
JITTER_BUFFER_S = 0.1
CONNECT_TIMEOUT_S = 10.0
LOUD_PEAK = 500
"""Largest sample of a message that holds more than a line's noise."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence as it was said on the line, in seconds since the answer."""

    kind: str
    text: str
    start_s: float
    end_s: float
    pause_s: float
    resumes_s: float


@dataclass(slots=True)
class Recording:
    """One call from the outside.

    Attributes:
        number: which call of the run.
        early: whether the phone rang before it was answered.
        answered_at: the answer, in seconds since the epoch: the stand-ins' journal counts so.
        heard: what a phone without a jitter buffer played, from the answer on; PCM16, 8 kHz.
        late_s: for each message of speech, how long speech had broken off for want of it.
        underruns: gaps heard without and with a jitter buffer.
        problem: why the call failed, or empty.
    """

    number: int
    early: bool
    answered_at: float = 0.0
    heard: bytes = b""
    utterances: list[Utterance] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    underruns: tuple[int, int] = (0, 0)
    problem: str = ""


class Caller:
    """A call that is up. Made by `Caller.call`."""

    def __init__(
        self, connection: ClientConnection, line: Line, recording: Recording, message_ms: int
    ) -> None:
        self.recording = recording
        self._connection = connection
        self._line = line
        self._message_bytes = message_ms // FRAME_MS * FRAME_BYTES
        self._answered = 0.0
        self._ears: tuple[Ear, Ear] = (Ear(0.0), Ear(0.0))
        self._loud_until_s = 0.0
        self._mouth = b""
        self._mouth_at = 0
        self._spoken_frames = 0
        self._silent = asyncio.Event()
        self._silent.set()
        self._open = True
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def call(
        cls, url: str, line: Line, recording: Recording, *, ring_s: float, message_ms: int
    ) -> AsyncIterator[Caller]:
        """Place a call, ring for `ring_s`, answer, and hang up at the end of the block."""
        stream_id = f"bench-{recording.number}-{time.time_ns()}"
        async with connect(
            url, compression=None, open_timeout=CONNECT_TIMEOUT_S, ping_interval=None, max_size=None
        ) as connection:
            caller = cls(connection, line, recording, message_ms)
            try:
                if ring_s:
                    line.ring(stream_id)
                    await caller._flush()
                    await asyncio.sleep(ring_s)
                await caller._answer(stream_id)
                yield caller
            finally:
                caller._keep()
                line.hang_up()
                await caller._flush()
                await cancel(*caller._tasks)

    @property
    def now_s(self) -> float:
        """Seconds since the answer."""
        return time.monotonic() - self._answered

    @property
    def is_open(self) -> bool:
        """Whether the far end is still there."""
        return self._open

    async def say(self, kind: str, sentence: Sentence) -> Utterance:
        """Speak, and return once the last sound has left the mouth."""
        start_s = self._spoken_frames * FRAME_S
        self._mouth, self._mouth_at = sentence.pcm, 0
        self._silent.clear()
        spoken = sentence.spoken
        utterance = Utterance(
            kind,
            sentence.text,
            start_s + spoken.start_s,
            start_s + spoken.end_s,
            sentence.pause_s,
            start_s + sentence.resumes_s,
        )
        self.recording.utterances.append(utterance)
        await self._silent.wait()
        return utterance

    async def until_heard(self, after_s: float, timeout_s: float) -> bool:
        """Wait until bot sound plays later than `after_s`; return whether it came in time."""
        while self._open and self.now_s < after_s + timeout_s:
            if self._loud_until_s > after_s:
                return True
            await asyncio.sleep(FRAME_S)
        return False

    async def until_silent(self, silence_s: float, timeout_s: float) -> None:
        """Wait until the bot has been silent for `silence_s`."""
        began_s = self.now_s
        while self._open and self.now_s < began_s + timeout_s:
            if self.now_s > self._loud_until_s + silence_s:
                return
            await asyncio.sleep(FRAME_S)

    async def _answer(self, stream_id: str) -> None:
        self._answered = time.monotonic()
        self.recording.answered_at = time.time()
        self._ears = (
            Ear(self._answered),
            Ear(self._answered, jitter_buffer_s=JITTER_BUFFER_S),
        )
        self._tasks.append(asyncio.create_task(self._listen(), name="caller-listen"))
        self._line.answer(stream_id)
        await self._flush()
        self._tasks.append(asyncio.create_task(self._speak(), name="caller-speak"))

    async def _speak(self) -> None:
        """Send a message each `message_ms`, silence included, as carriers do."""
        due, message = self._answered, b""
        while self._open:
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            message += self._next_frame()
            if len(message) >= self._message_bytes:
                self._line.speak(message)
                message = b""
                await self._flush()

    def _next_frame(self) -> bytes:
        self._spoken_frames += 1
        if self._mouth_at >= len(self._mouth):
            self._silent.set()
            return SILENCE
        frame = self._mouth[self._mouth_at : self._mouth_at + FRAME_BYTES]
        self._mouth_at += FRAME_BYTES
        return frame.ljust(FRAME_BYTES, b"\0")

    async def _listen(self) -> None:
        try:
            async for message in self._connection:
                now = time.monotonic()
                for event in self._line.hear(message):
                    match event:
                        case BotAudio():
                            self._play(event.pcm, now)
                        case BotStopped():
                            self._stop(now)
                        case BotHungUp():
                            self._open = False
        except ConnectionClosed:
            pass
        self._open = False
        self._silent.set()

    def _play(self, pcm: bytes, now: float) -> None:
        bare, buffered = self._ears
        late_s = bare.play(pcm, now)
        buffered.play(pcm, now)
        samples = array("h", pcm)
        if max(samples, default=0) > LOUD_PEAK:
            self.recording.late_s.append(late_s)
            self._loud_until_s = bare.until_s

    def _stop(self, now: float) -> None:
        for ear in self._ears:
            ear.clear(now)
        self._loud_until_s = min(self._loud_until_s, self._ears[0].until_s)

    def _keep(self) -> None:
        bare, buffered = self._ears
        self.recording.heard = bare.waveform()[: round(self.now_s * RATE_HZ) * 2]
        self.recording.underruns = (bare.underruns, buffered.underruns)

    async def _flush(self) -> None:
        try:
            for message in self._line.outgoing():
                await self._connection.send(message)
        except ConnectionClosed:
            self._open = False
