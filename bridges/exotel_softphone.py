"""A softphone for Exotel's stream: as `bridges.phone`, with Exotel's rules, which it enforces.

    async with ExotelSoftphone.call("ws://127.0.0.1:8010/exotel/desk") as phone:
        await phone.hear()

It sends 100 ms of caller audio every 100 ms, echoes each mark when what was sent before it has been
played, and ends the stream over what Exotel would end it for.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bridges.clock import Clock
from bridges.handset import CONNECT_TIMEOUT_S, Handset
from bridges.race import cancel
from bridges.wire.close import CloseCode, ProtocolError, close_reason
from bridges.wire.exotel_event import BotCleared, BotSpoke, MarkAsked, StreamRate
from bridges.wire.exotel_message import MIN_CHUNK_BYTES, StreamFormat
from bridges.wire.exotel_phone import ExotelPhone, ExotelPhoneState

FRAME_S = 0.1
MAX_LEAD_S = 1.5
"""Bot audio further ahead of what plays ends the stream."""
TOO_BIG, BAD_PAYLOAD, TOO_FAST = 1009, 1007, 1008


class ExotelSoftphone(Handset):
    """One call from Exotel's side. Made by `ExotelSoftphone.call`.

    Attributes:
        cleared: how often the bot took back what had not begun to play.
        most_ahead_s: how far bot audio was ahead of what played at most.
        broken: why Exotel ended the stream, or "".
    """

    def __init__(
        self,
        connection: ClientConnection,
        clock: Clock,
        protocol: ExotelPhone,
        *,
        jitter_buffer_s: float = 0.0,
        echoes: bool = True,
    ) -> None:
        super().__init__(
            connection,
            clock,
            rate_hz=protocol.format.rate_hz,
            frame_s=FRAME_S,
            jitter_buffer_s=jitter_buffer_s,
        )
        self.cleared = 0
        self.most_ahead_s = 0.0
        self.broken = ""
        self._protocol = protocol
        self._echoes = echoes
        self._marks: list[tuple[float, asyncio.TimerHandle]] = []
        self._sending: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def call(
        cls,
        url: str,
        *,
        caller_id: str = "+10000000001",
        did: str = "10000000002",
        stream_id: str = "softphone",
        fields: Mapping[str, str] | None = None,
        token: str = "",
        rate_hz: StreamRate = 8000,
        is_mu_law: bool = False,
        min_chunk_bytes: int = MIN_CHUNK_BYTES,
        jitter_buffer_s: float = 0.0,
        echoes: bool = True,
        clock: Clock | None = None,
    ) -> AsyncIterator[ExotelSoftphone]:
        """Place a call, which is answered already, and hang up at the end of the block.

        Args:
            url: the bot's stream.
            caller_id, did: who calls whom.
            stream_id: the stream's; the call's and the account's are made of it.
            fields: custom parameters, beside those of the URL.
            token: shown as Basic auth's password, as the applet does it.
            rate_hz, is_mu_law: how audio is held.
            min_chunk_bytes: what the account takes at least.
            jitter_buffer_s: how long bot audio waits where the phone was silent before.
            echoes: whether marks are answered; Exotel always does.
            clock: the times.

        Raises:
            websockets.exceptions.InvalidStatus: refused before the upgrade, twice.
        """
        query = dict(parse_qsl(urlsplit(url).query))
        if "sample-rate" not in query:
            url += f"{'&' if query else '?'}sample-rate={rate_hz}"
        connection = await _connected(url, token)
        protocol = ExotelPhone(StreamFormat(rate_hz, is_mu_law), min_chunk_bytes=min_chunk_bytes)
        phone = cls(
            connection,
            clock or Clock(),
            protocol,
            jitter_buffer_s=jitter_buffer_s,
            echoes=echoes,
        )
        async with connection:
            protocol.connect()
            protocol.start(
                stream_id,
                call_id=f"call-{stream_id}",
                account_id="softphone",
                caller=caller_id,
                callee=did,
                parameters={**query, **(fields or {})},
            )
            phone._pick_up()
            phone._start_listening()
            try:
                await phone._send_safely()
                phone._start_speaking()
                yield phone
                await phone.hang_up()
            finally:
                phone._forget_marks(0.0)
                await cancel(*phone._tasks, *phone._sending)

    async def press(self, digits: str) -> None:
        """Press keys."""
        for digit in digits:
            self._protocol.press(digit)
        await self._send_safely()

    async def hang_up(self, reason: str = "callended") -> None:
        """Put the phone down, unless the call is over."""
        if self._is_talking and self.is_open:
            self._protocol.stop(reason)
        try:
            await self._flush()
        except ConnectionClosed:
            return
        await self._connection.close()

    @property
    def _is_talking(self) -> bool:
        return self._protocol.state is ExotelPhoneState.STARTED

    def _send_frame(self, pcm: bytes) -> None:
        self._protocol.send_media(pcm)

    def _outgoing(self) -> list[str]:
        return self._protocol.outgoing()

    def _take(self, message: bytes | str) -> None:
        try:
            events = self._protocol.receive(message)
        except ProtocolError as error:
            code = TOO_BIG if error.close_code is CloseCode.TOO_BIG else BAD_PAYLOAD
            self._break_off(code, error.reason)
            return
        for event in events:
            match event:
                case BotSpoke():
                    self._play(event.pcm)
                    ahead_s = self._ear.until_s - self.now_s
                    self.most_ahead_s = max(self.most_ahead_s, ahead_s)
                    if ahead_s > MAX_LEAD_S:
                        self._break_off(TOO_FAST, f"audio {ahead_s:.1f} s ahead of what plays")
                case MarkAsked():
                    self._keep_mark(event.name)
                case BotCleared():
                    self.cleared += 1
                    self._clear()
                    self._forget_marks(self._ear.until_s)

    def _keep_mark(self, name: str) -> None:
        if self._echoes:
            due_s = self._ear.until_s
            delay_s = max(0.0, due_s - self.now_s)
            timer = asyncio.get_running_loop().call_later(delay_s, self._reach, name)
            self._marks = [mark for mark in self._marks if not mark[1].cancelled()]
            self._marks.append((due_s, timer))

    def _forget_marks(self, after_s: float) -> None:
        """Drop the marks of audio that will not be played."""
        for due_s, timer in self._marks:
            if due_s > after_s:
                timer.cancel()

    def _reach(self, name: str) -> None:
        if self._is_talking and self.is_open:
            self._protocol.reach(name)
            self._soon(self._send_safely())

    def _break_off(self, code: int, why: str) -> None:
        self.broken = self.broken or why
        self._note_close(code, why)
        self._soon(self._connection.close(code, close_reason(why)))

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)


async def _connected(url: str, token: str) -> ClientConnection:
    """Return a connection: a handshake that fails is tried once more, as Exotel does."""
    headers = {}
    if token:
        shown = base64.b64encode(f"exotel:{token}".encode()).decode()
        headers["Authorization"] = f"Basic {shown}"
    try:
        return await _connect(url, headers)
    except (InvalidHandshake, OSError, TimeoutError):
        return await _connect(url, headers)


async def _connect(url: str, headers: Mapping[str, str]) -> ClientConnection:
    return await connect(
        url, additional_headers=headers, compression=None, open_timeout=CONNECT_TIMEOUT_S
    )
