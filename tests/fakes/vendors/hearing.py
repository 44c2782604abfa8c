"""One connection to a stand-in recogniser: sound in, turns out, with the script's faults.

How turns look on the wire is each vendor's own: `Hearing` has the ear and the clock.
"""

from __future__ import annotations

import asyncio
import time

from aiohttp import WSMsgType, web

from tests.fakes.vendors.energy import SpeechBegan, SpeechEnded, SpeechWatch
from tests.fakes.vendors.journal import Journal, Reference, Request
from tests.fakes.vendors.script import Fault, Vendor, VendorScript

_STOCK_WORDS = "I would like to know when my booking is"
_SLOW = 10
_WORD_S = 0.3


class Hearing:
    """Follows one connection until it ends."""

    silence_timeout_s = 20.0
    """Without audio or a word from the client the vendor hangs up after this."""
    interim_s = 0.25
    nothing_s = 0.25
    """How often it tells that there are no words."""

    def __init__(
        self,
        number: int,
        script: VendorScript,
        journal: Journal,
        seen: Request,
        socket: web.WebSocketResponse,
        fault: Fault | None,
        rate_hz: int,
    ) -> None:
        self.number = number
        self.script = script
        self.journal = journal
        self.seen = seen
        self.socket = socket
        self.fault = fault.kind if fault is not None else None
        self.watch = SpeechWatch(rate_hz, script.stt_quiet_ms)
        self.turn = 1
        self.began_s = 0.0
        self._told_s = self._nothing_s = 0.0
        self._ending: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def reference(self) -> Reference:
        return Reference(self.number, self.turn)

    async def run(self, http: web.Request) -> None:
        """Listen until the client has gone or was hung up on."""
        self._transport = http.transport
        self.journal.note(Vendor.STT, "request", self.reference)
        try:
            await self._listen()
        finally:
            if self._ending is not None:
                self._ending.cancel()

    # What a vendor makes of it.

    async def on_start(self) -> None:
        """A turn begins."""

    async def on_words(self, text: str) -> None:
        """So much of the turn has been heard, as far as is sure by now."""

    async def on_quiet(self, text: str) -> None:
        """The turn may be over."""

    async def on_resumed(self, text: str) -> None:
        """It was not."""

    async def on_end(self, text: str) -> None:
        """The turn is over."""

    async def on_nothing(self) -> None:
        """Nobody speaks."""

    async def on_error(self) -> None:
        """Tell of an error, as the vendor does; the connection is closed afterwards."""

    async def on_text(self, text: str) -> bool:
        """Do as a message says; return whether the connection is over."""
        return False

    # What is common to all.

    async def send(self, message: dict[str, object]) -> None:
        if self.fault != "silent" and not self.socket.closed:
            await self.socket.send_json(message)

    def text(self, words: int | None = None) -> str:
        """Return the turn's transcript, or its first words."""
        index = self.turn - 1
        script = self.script
        spoken = script.transcripts[index] if index < len(script.transcripts) else _STOCK_WORDS
        if words is not None:
            spoken = " ".join(spoken.split()[: max(1, words)])
        return f"R{self.number} T{self.turn} {spoken}" if script.references else spoken

    async def finish(self) -> None:
        """Take what was said for complete; the script's delay holds all the same."""
        if self.watch.speaking:
            self.watch.stop()
            self._end(SpeechEnded(self.watch.loud_at, self.watch.speech_until_s))
        if self._ending is not None:
            await asyncio.wait({self._ending})

    async def _listen(self) -> None:
        while True:
            try:
                message = await self.socket.receive(timeout=self.silence_timeout_s)
            except TimeoutError:
                await self.socket.close(code=1011, message=b"no audio")
                return
            if message.type is WSMsgType.BINARY:
                await self._hear(message.data)
            elif message.type is not WSMsgType.TEXT or await self.on_text(message.data):
                return

    async def _hear(self, pcm: bytes) -> None:
        self.seen.audio_bytes += len(pcm)
        self.seen.audio_messages += 1
        for event in self.watch.push(pcm, time.time()):
            if isinstance(event, SpeechBegan):
                await self._begin(event)
            else:
                self._end(event)
        if self.watch.speaking and self.watch.audio_s >= self._told_s + self.interim_s:
            self._told_s = self.watch.audio_s
            await self.on_words(self.text(int((self.watch.audio_s - self.began_s) / _WORD_S)))
        is_idle = not self.watch.speaking and self._ending is None and self.fault != "garbage"
        if is_idle and self.watch.audio_s >= self._nothing_s + self.nothing_s:
            self._nothing_s = self.watch.audio_s
            await self.on_nothing()

    async def _begin(self, event: SpeechBegan) -> None:
        if self._ending is not None:
            # Sound again before the turn was over: one turn.
            self._ending.cancel()
            self._ending = None
            await self.on_resumed(self.text())
            return
        self.began_s = self._told_s = event.audio_s
        self.journal.note(Vendor.STT, "speech_start", self.reference)
        await self.on_start()

    def _end(self, event: SpeechEnded) -> None:
        self._ending = asyncio.create_task(self._finish(event))

    async def _finish(self, event: SpeechEnded) -> None:
        delay_s = self.script.stt_final_ms / 1000 * (_SLOW if self.fault == "drip" else 1)
        await asyncio.sleep(event.at + delay_s / 2 - time.time())
        await self.on_quiet(self.text())
        await asyncio.sleep(event.at + delay_s - time.time())
        self._ending = None
        reference = self.reference
        self.journal.step(Vendor.STT, "speech_end", reference, event.at)
        if self.fault == "reset" and self._transport is not None:
            self._transport.abort()
        elif self.fault == "garbage":
            await self.socket.send_str("}this is no JSON{")
        elif self.fault == "error":
            await self.on_error()
            await self.socket.close()
        else:
            text = self.text()
            await self.on_end(text)
            self.turn += 1
            self.journal.note(Vendor.STT, "final", reference, text=text)
