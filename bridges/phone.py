"""A softphone for the dialler's stream: places a call, speaks, and hears it as a phone would.

    async with Phone.call("ws://127.0.0.1:8010/ws/desk", caller_id="+10000000001") as phone:
        await phone.say(pcm)
        await phone.hear(silence_s=1.0)

It sends 20 ms of caller audio every 20 ms, silence included, as real diallers do. All times it
tells are seconds since `answer`.
"""

from __future__ import annotations

import asyncio
import wave
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bridges.audio.ear import Ear
from bridges.audio.waveform import Span, loud_spans
from bridges.clock import Clock
from bridges.race import cancel, within
from bridges.wire.dialler_event import BotAudio, BotHungUp, BotStopped, PhoneEvent, TransferAsked
from bridges.wire.dialler_message import CHUNK_BYTES, RATE_HZ
from bridges.wire.dialler_phone import DiallerPhone, PhoneState

FRAME_S = 0.02
SILENCE = bytes(CHUNK_BYTES)
CONNECT_TIMEOUT_S = 10.0


class Phone:
    """One call from the dialler's side. Made by `Phone.call`.

    Attributes:
        chunks: how many chunks of bot audio arrived.
        received: bot audio as it arrived, without the time between.
        hung_up: what the bot said when it hung up, or None.
        transfer: where the bot wanted the caller connected to, or None.
        close_code: what the far end closed the socket with; None while it is open.
        close_reason: the text beside it.
        first_audio_s: when the first bot audio arrived, or None.
    """

    def __init__(
        self, connection: ClientConnection, clock: Clock, *, jitter_buffer_s: float = 0.0
    ) -> None:
        self.chunks = 0
        self.received = bytearray()
        self.hung_up: str | None = None
        self.transfer: TransferAsked | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self.first_audio_s: float | None = None
        self._connection = connection
        self._clock = clock
        self._protocol = DiallerPhone()
        self._jitter_buffer_s = jitter_buffer_s
        self._answered_at = clock.now()
        self._ear = Ear(self._answered_at)
        self._loud_until_s = 0.0
        self._mouth: deque[bytes] = deque()
        self._mouth_empty = asyncio.Event()
        self._mouth_empty.set()
        self._said = bytearray()
        self._changed = asyncio.Condition()
        self._closed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def call(
        cls,
        url: str,
        *,
        caller_id: str = "+10000000001",
        did: str = "10000000002",
        direction: str = "incoming",
        stream_id: str = "softphone",
        fields: Mapping[str, Any] | None = None,
        token: str = "",
        ring_s: float = 0.0,
        jitter_buffer_s: float = 0.0,
        clock: Clock | None = None,
    ) -> AsyncIterator[Phone]:
        """Place a call, ring for `ring_s`, answer it, and hang up at the end of the block.

        Raises:
            websockets.exceptions.InvalidStatus: refused before the upgrade.
        """
        headers = {"X-Stream-Token": token} if token else None
        async with connect(
            url, additional_headers=headers, compression=None, open_timeout=CONNECT_TIMEOUT_S
        ) as connection:
            phone = cls(connection, clock or Clock(), jitter_buffer_s=jitter_buffer_s)
            offer = {"callerId": caller_id, "did": did, "callDirection": direction}
            phone._protocol.connect({**offer, "streamId": stream_id, **(fields or {})})
            phone._tasks.append(asyncio.create_task(phone._listen(), name="phone-listen"))
            try:
                await phone._answer(stream_id, ring_s)
                yield phone
                await phone.hang_up()
            finally:
                await cancel(*phone._tasks)

    @property
    def now_s(self) -> float:
        """Seconds since `answer`."""
        return self._clock.now() - self._answered_at

    @property
    def is_open(self) -> bool:
        """Whether the far end is still there."""
        return self.close_code is None

    async def say(self, pcm: bytes) -> float:
        """Speak PCM16, 8 kHz, in real time; return when the last of it left the mouth.

        Raises:
            ConnectionError: the call ended meanwhile.
        """
        frames = [pcm[at : at + CHUNK_BYTES] for at in range(0, len(pcm), CHUNK_BYTES)]
        self._mouth.extend(frame.ljust(CHUNK_BYTES, b"\0") for frame in frames)
        self._mouth_empty.clear()
        await self._mouth_empty.wait()
        if not self.is_open:
            raise ConnectionError(f"the call ended with {self.close_code}: {self.close_reason}")
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

    async def hang_up(self, disconnected_by: str = "customer") -> None:
        """Put the phone down, unless the call is over."""
        if self._protocol.state is not PhoneState.CLOSED:
            self._protocol.hang_up(disconnected_by)
        try:
            await self._flush()
        except ConnectionClosed:
            return
        await self._connection.close()

    @property
    def loud_until_s(self) -> float:
        """When the last sound that has arrived so far is over; costs nothing to ask, unlike a look
        at the waveform.
        """
        return self._loud_until_s

    def heard(self) -> bytes:
        """Return all that was heard since `answer`, as it was played."""
        return self._ear.waveform()

    def said(self) -> bytes:
        """Return all that was sent since `answer`, silence included."""
        return bytes(self._said)

    @property
    def underruns(self) -> int:
        """How often bot speech broke off because its next chunk came too late."""
        return self._ear.underruns

    def bot_audio_segments(self) -> list[Span]:
        """Return when the bot was heard."""
        return loud_spans(self.heard())

    def caller_audio_segments(self) -> list[Span]:
        """Return when the caller spoke."""
        return loud_spans(self.said())

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
            file.setframerate(RATE_HZ)
            file.writeframes(bytes(both))

    async def _answer(self, stream_id: str, ring_s: float) -> None:
        self._protocol.start(stream_id)
        await self._send_safely()
        if await within(ring_s, self._closed.wait()):
            return
        self._protocol.answer()
        self._answered_at = self._clock.now()
        self._ear = Ear(self._answered_at, jitter_buffer_s=self._jitter_buffer_s)
        await self._send_safely()
        self._tasks.append(asyncio.create_task(self._speak(), name="phone-speak"))

    async def _speak(self) -> None:
        """Send a frame each 20 ms. A frame that leaves at a time was spoken in the 20 ms before."""
        due = self._answered_at
        while self._protocol.state is PhoneState.ANSWERED:
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - self._clock.now()))
            frame = self._mouth.popleft() if self._mouth else SILENCE
            if self._protocol.state is PhoneState.ANSWERED and self.is_open:
                self._protocol.send_media(frame)
                self._said += frame
                await self._send_safely()
            if not self._mouth or not self.is_open:
                self._mouth_empty.set()
            if not self.is_open:
                return

    async def _listen(self) -> None:
        try:
            async for message in self._connection:
                for event in self._protocol.receive(message):
                    self._take(event)
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        self.close_code = self._connection.close_code
        self.close_reason = self._connection.close_reason or ""
        self._closed.set()
        self._mouth_empty.set()
        async with self._changed:
            self._changed.notify_all()

    def _take(self, event: PhoneEvent) -> None:
        now = self._clock.now()
        match event:
            case BotAudio():
                self.chunks += 1
                self.received += event.pcm
                if self.first_audio_s is None:
                    self.first_audio_s = now - self._answered_at
                self._ear.play(event.pcm, now)
                if loud_spans(event.pcm):
                    self._loud_until_s = self._ear.until_s
            case BotStopped():
                self._ear.clear(now)
                self._loud_until_s = min(self._loud_until_s, self._ear.until_s)
            case BotHungUp():
                self.hung_up = event.message
            case TransferAsked():
                self.transfer = event

    async def _flush(self) -> None:
        for message in self._protocol.outgoing():
            await self._connection.send(message)

    async def _send_safely(self) -> None:
        try:
            await self._flush()
        except ConnectionClosed:
            return  # `_listen` keeps the code and the reason

    async def _wait_until(self, predicate: Callable[[], bool], timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(predicate)
