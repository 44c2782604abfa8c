"""A receiver on a real socket that misbehaves as told; no library breaks off half-way."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum

_PAUSE_S = 0.01


class Mood(StrEnum):
    """What it does with a delivery."""

    GOOD = "204 No Content"
    SERVER_ERROR = "500 Internal Server Error"
    UNAUTHORISED = "401 Unauthorized"
    NOT_FOUND = "404 Not Found"
    MOVED = "302 Found"
    HANGS = "hangs"
    RESETS = "resets"
    CLOSES_IN_REQUEST = "closes half-way through the request"
    CLOSES_IN_ANSWER = "closes half-way through the answer's head"
    TRICKLES = "trickles the answer's head for ever"
    TRICKLES_BODY = "trickles the body of a 200 for ever"


class BadReceiver:
    """What came to it.

    Attributes:
        bodies: every body that came whole, by `webhook-id`, whatever was answered.
        url: where it is.
    """

    def __init__(self) -> None:
        self.mood = Mood.GOOD
        self.url = ""
        self.requests = 0
        self.bodies: dict[str, set[bytes]] = defaultdict(set)
        self._closing = asyncio.Event()
        self._serving: set[asyncio.Task[object]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of one request."""
        if (task := asyncio.current_task()) is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def aclose(self) -> None:
        """Let everybody go who is kept waiting."""
        self._closing.set()
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = (line.partition(":") for line in head.split("\r\n")[1:])
        headers = {name.lower(): value.strip() for name, _, value in lines}
        length = int(headers["content-length"])
        self.requests += 1
        if self.mood is Mood.CLOSES_IN_REQUEST:
            await reader.readexactly(length // 2)
            return
        self.bodies[headers["webhook-id"]].add(await reader.readexactly(length))
        match self.mood:
            case Mood.HANGS:
                await self._closing.wait()
            case Mood.RESETS:
                writer.transport.abort()
            case Mood.CLOSES_IN_ANSWER:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-")
            case Mood.TRICKLES:
                writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                await self._trickle(writer)
            case Mood.TRICKLES_BODY:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
                await self._trickle(writer)
            case _:
                elsewhere = f"Location: {self.url}/elsewhere\r\n" if self.mood is Mood.MOVED else ""
                answer = f"HTTP/1.1 {self.mood}\r\n{elsewhere}Content-Length: 0\r\n"
                writer.write(f"{answer}Connection: close\r\n\r\n".encode())
        await writer.drain()

    async def _trickle(self, writer: asyncio.StreamWriter) -> None:
        while not self._closing.is_set():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(_PAUSE_S)


@asynccontextmanager
async def misbehaving() -> AsyncIterator[BadReceiver]:
    """Run one on a free port of 127.0.0.1."""
    receiver = BadReceiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()
        await receiver.aclose()
