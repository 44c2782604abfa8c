"""Feeds a recogniser's WebSocket with the line's packets as they come, and reads what it answers.

The plug-ins cut audio anew into 50 ms: of packets of 40 ms the last words would wait for the next
packet, 30 ms on average, and packets of 240 ms would be five messages instead of one. Some take a
connection that ends for a reason to begin anew, at once and for ever; here it is an error, so that
those who watch the engines learn of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from livekit import rtc
from livekit.agents import APIConnectionError, APIError, APIStatusError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Phrases:
    """What a recogniser is told besides audio: texts as text frames, bytes as audio."""

    goodbye: str | bytes
    """When there is no more audio."""
    idle: str | bytes
    """When there was none for `idle_s`."""
    idle_s: float
    flush: str | None = None
    """When the session wants to have what was said so far."""


class Feed:
    """One connection to a recogniser; it serves until the line or the connection ends.

    Args:
        vendor: its name, for errors.
        packets: the line's audio; anything else in it asks for a flush.
        read: takes each of the vendor's messages, parsed; may raise `APIError`.
        on_audio: is told the length in seconds of each packet that is sent.
    """

    def __init__(
        self,
        vendor: str,
        socket: aiohttp.ClientWebSocketResponse,
        packets: AsyncIterator[Any],
        *,
        phrases: Phrases,
        read: Callable[[Any], None] = lambda _: None,
        on_audio: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._vendor = vendor
        self._socket = socket
        self._packets = packets
        self._phrases = phrases
        self._read = read
        self._on_audio = on_audio
        self._is_over = False

    async def run(self, receive: Callable[[], Awaitable[None]] | None = None) -> None:
        """Send and read; return once the line has ended and the vendor has hung up.

        Args:
            receive: reads in the place of `read` until the connection ends.

        Raises:
            APIStatusError: the vendor hung up though there was more to send.
            APIError: the connection broke, or the vendor told of an error.
        """
        sending = asyncio.create_task(self._send())
        try:
            await (receive or self._receive)()
            if not self._is_over:
                code = self._socket.close_code or -1
                raise APIStatusError(f"{self._vendor} closed the connection", status_code=code)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await self._socket.close()

    async def _send(self) -> None:
        """Pass the line's audio on until it ends; a lost connection shows in `_receive`."""
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            while True:
                try:
                    async with asyncio.timeout(self._phrases.idle_s):
                        packet = await anext(self._packets)
                except TimeoutError:
                    await self._tell(self._phrases.idle)
                except StopAsyncIteration:
                    break
                else:
                    await self._pass_on(packet)
            self._is_over = True
            await self._tell(self._phrases.goodbye)

    async def _pass_on(self, packet: Any) -> None:
        if isinstance(packet, rtc.AudioFrame):
            self._on_audio(packet.duration)
            await self._socket.send_bytes(packet.data.tobytes())
        elif self._phrases.flush is not None:
            await self._socket.send_str(self._phrases.flush)

    async def _tell(self, phrase: str | bytes) -> None:
        if isinstance(phrase, str):
            await self._socket.send_str(phrase)
        else:
            await self._socket.send_bytes(phrase)

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                self._take(message.data)
            elif message.type is aiohttp.WSMsgType.ERROR and not self._is_over:
                raise APIConnectionError(f"the connection to {self._vendor} broke")
            else:
                return

    def _take(self, text: str) -> None:
        try:
            self._read(json.loads(text))
        except APIError:
            raise
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            log.warning("message not understood", vendor=self._vendor, error=type(error).__name__)
