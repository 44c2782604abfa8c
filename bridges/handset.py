"""A softphone, whatever is spoken on its wire: says, hears and measures as a phone would.

All times it tells are seconds since the call was answered.
"""

from __future__ import annotations

import asyncio
import wave
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from pathlib import Path

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from bridges.audio.ear import Ear
from bridges.audio.waveform import Span, loud_spans
from bridges.clock import Clock

FRAME_S = 0.02
CONNECT_TIMEOUT_S = 10.0


class Handset(ABC):
    """One call from the carrier's side.

    Args:
        connection: to the bridge, open.
        clock: the times.
        rate_hz: of the audio, both ways.
        frame_s: how much caller audio goes into a message; silence is sent, too.
        jitter_buffer_s: how long bot audio waits where the phone was silent before.

    Attributes:
        rate_hz: as above.
        chunks: how many chunks of bot audio arrived.
        received: bot audio as it arrived, without the time between.
        close_code: what the call was closed with; None while it is open.
        close_reason: the text beside it.
        first_audio_s: when the first bot audio arrived, or None.
    """

    def __init__(
        self,
        connection: ClientConnection,
        clock: Clock,
        *,
        rate_hz: int = 8000,
        frame_s: float = FRAME_S,
        jitter_buffer_s: float = 0.0,
    ) -> None:
        self.rate_hz = rate_hz
        self.chunks = 0
        self.received = bytearray()
        self.close_code: int | None = None
        self.close_reason = ""
        self.first_audio_s: float | None = None
        self._connection = connection
        self._clock = clock
        self._frame_s = frame_s
        self._frame_bytes = round(rate_hz * frame_s) * 2
        self._jitter_buffer_s = jitter_buffer_s
        self._answered_at = clock.now()
        self._ear = Ear(self._answered_at, rate_hz=rate_hz)
        self._loud_until_s = 0.0
        self._mouth: deque[bytes] = deque()
        self._mouth_empty = asyncio.Event()
        self._mouth_empty.set()
        self._said = bytearray()
        self._changed = asyncio.Condition()
        self._closed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def now_s(self) -> float:
        """Seconds since the answer."""
        return self._clock.now() - self._answered_at

    @property
    def is_open(self) -> bool:
        """Whether the far end is still there."""
        return self.close_code is None

    async def say(self, pcm: bytes) -> float:
        """Speak PCM16 in real time; return when the last of it left the mouth.

        Raises:
            ConnectionError: the call ended before or meanwhile.
        """
        self._refuse_if_over()
        frames = [pcm[at : at + self._frame_bytes] for at in range(0, len(pcm), self._frame_bytes)]
        self._mouth.extend(frame.ljust(self._frame_bytes, b"\0") for frame in frames)
        self._mouth_empty.clear()
        await self._mouth_empty.wait()
        self._refuse_if_over()
        return self.now_s

    async def hear(self, *, silence_s: float = 0.8, timeout_s: float = 15.0) -> Span | None:
        """Wait until the bot has said something after now and is silent again for `silence_s`.

        Returns:
            What it said, or None where nothing came in time or the call ended before.
        """
        since_s = self.now_s
        while self.is_open and self.now_s < since_s + timeout_s:
            await asyncio.sleep(FRAME_S)
            if since_s < self._loud_until_s < self.now_s - silence_s:
                new = [span for span in self.bot_audio_segments() if span.end_s > since_s]
                return Span(new[0].start_s, new[-1].end_s) if new else None
        return None

    async def wait_for_audio(self, timeout_s: float = 15.0) -> float:
        """Wait for the first bot audio of the call and return when it came."""
        await self._wait_until(
            lambda: self.first_audio_s is not None or not self.is_open, timeout_s
        )
        if self.first_audio_s is None:
            raise ConnectionError(f"the call ended with {self.close_code}: {self.close_reason}")
        return self.first_audio_s

    async def wait_closed(self, timeout_s: float = 15.0) -> int:
        """Wait until the far end has closed the socket and return the code."""
        await self._wait_until(lambda: not self.is_open, timeout_s)
        assert self.close_code is not None
        return self.close_code

    @property
    def loud_until_s(self) -> float:
        """When the last sound that has arrived so far is over; costs nothing to ask, unlike a look
        at the waveform.
        """
        return self._loud_until_s

    def heard(self) -> bytes:
        """Return all that was heard since the answer, as it was played."""
        return self._ear.waveform()

    def said(self) -> bytes:
        """Return all that was sent since the answer, silence included."""
        return bytes(self._said)

    @property
    def underruns(self) -> int:
        """How often bot speech broke off because its next chunk came too late."""
        return self._ear.underruns

    def bot_audio_segments(self) -> list[Span]:
        """Return when the bot was heard."""
        return loud_spans(self.heard(), rate_hz=self.rate_hz)

    def caller_audio_segments(self) -> list[Span]:
        """Return when the caller spoke."""
        return loud_spans(self.said(), rate_hz=self.rate_hz)

    def speech_ends_at(self) -> float | None:
        """Return when the caller last stopped speaking, by the waveform; None before any speech."""
        spans = self.caller_audio_segments()
        return spans[-1].end_s if spans else None

    def write_wav(self, path: Path) -> None:
        """Write both sides: the caller on the left, the bot as heard on the right."""
        said, heard = self.said(), self.heard()
        size_bytes = max(len(said), len(heard))
        said, heard = said.ljust(size_bytes, b"\0"), heard.ljust(size_bytes, b"\0")
        both = bytearray(2 * size_bytes)
        both[0::4], both[1::4] = said[0::2], said[1::2]
        both[2::4], both[3::4] = heard[0::2], heard[1::2]
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(self.rate_hz)
            file.writeframes(bytes(both))

    @property
    @abstractmethod
    def _is_talking(self) -> bool:
        """Whether caller audio may be sent."""

    @abstractmethod
    def _send_frame(self, pcm: bytes) -> None:
        """Say a frame in the carrier's words."""

    @abstractmethod
    def _take(self, message: bytes | str) -> None:
        """Take a message of the bridge's."""

    @abstractmethod
    def _outgoing(self) -> list[str]:
        """Return the messages to put on the wire since the last call, in order."""

    def _refuse_if_over(self) -> None:
        if not self.is_open:
            raise ConnectionError(f"the call ended with {self.close_code}: {self.close_reason}")

    def _pick_up(self) -> None:
        """Be answered from now on."""
        self._answered_at = self._clock.now()
        self._ear = Ear(
            self._answered_at, rate_hz=self.rate_hz, jitter_buffer_s=self._jitter_buffer_s
        )

    def _start_speaking(self) -> None:
        self._tasks.append(asyncio.create_task(self._speak(), name="phone-speak"))

    def _start_listening(self) -> None:
        self._tasks.append(asyncio.create_task(self._listen(), name="phone-listen"))

    def _play(self, pcm: bytes) -> None:
        """Hear bot audio that arrives now."""
        now = self._clock.now()
        self.chunks += 1
        self.received += pcm
        if self.first_audio_s is None:
            self.first_audio_s = now - self._answered_at
        self._ear.play(pcm, now)
        if loud_spans(pcm, rate_hz=self.rate_hz):
            self._loud_until_s = self._ear.until_s

    def _clear(self) -> None:
        """Drop what has not begun to play."""
        self._ear.clear(self._clock.now())
        self._loud_until_s = min(self._loud_until_s, self._ear.until_s)

    async def _speak(self) -> None:
        """Send frame by frame. One that leaves at a time was spoken in the time just before."""
        due = self._answered_at
        silence = bytes(self._frame_bytes)
        while self._is_talking:
            due += self._frame_s
            await asyncio.sleep(max(0.0, due - self._clock.now()))
            frame = self._mouth.popleft() if self._mouth else silence
            if self._is_talking and self.is_open:
                self._send_frame(frame)
                self._said += frame
                await self._send_safely()
            if not self._mouth or not self.is_open:
                self._mouth_empty.set()
            if not self.is_open:
                return

    async def _listen(self) -> None:
        try:
            async for message in self._connection:
                self._take(message)
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        self._note_close(self._connection.close_code or 1006, self._connection.close_reason or "")
        async with self._changed:
            self._changed.notify_all()

    def _note_close(self, code: int, reason: str) -> None:
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
        self._closed.set()
        self._mouth_empty.set()

    async def _flush(self) -> None:
        for message in self._outgoing():
            await self._connection.send(message)

    async def _send_safely(self) -> None:
        try:
            await self._flush()
        except ConnectionClosed:
            return  # `_listen` keeps the code and the reason

    async def _wait_until(self, predicate: Callable[[], bool], timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(predicate)
