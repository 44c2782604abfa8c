"""A receiver of results that misbehaves on request, and remembers every body it was ever sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

HANG_S = 20.0


class Mood(StrEnum):
    """What it does with a delivery."""

    GOOD = "good"
    SERVER_ERROR = "500"
    UNAUTHORISED = "401"
    HANGS = "hangs"
    RESETS = "resets"
    HALF_CLOSES = "closes half-way"


@dataclass(slots=True)
class Receiver:
    """What was delivered.

    Attributes:
        bodies: every body that came under a `webhook-id`, also those that were answered badly.
        taken: the bodies that were taken, by `webhook-id`.
        unsigned: deliveries whose signature was wrong.
    """

    secret: str
    mood: Mood = Mood.GOOD
    url: str = ""
    bodies: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    unsigned: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request, in raw HTTP: no library closes half-way on request."""
        # Cancelled at the end of all: nobody waits for what hangs.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = [line.partition(":") for line in head.split("\r\n")[1:] if ":" in line]
        headers = {name.lower(): value.strip() for name, _, value in lines}
        length = int(headers["content-length"])
        if self.mood is Mood.HALF_CLOSES:
            await reader.readexactly(length // 2)
            return
        body = await reader.readexactly(length)
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            self.unsigned += 1
        self.bodies[headers["webhook-id"]].add(body)
        match self.mood:
            case Mood.GOOD:
                self.taken[headers["webhook-id"]] = json.loads(body)
                status = "204 No Content"
            case Mood.HANGS:
                await asyncio.sleep(HANG_S)
                return
            case Mood.RESETS:
                writer.transport.abort()
                return
            case Mood.UNAUTHORISED:
                status = "401 Unauthorized"
            case _:
                status = "500 Internal Server Error"
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        await writer.drain()


@asynccontextmanager
async def receiving(secret: str) -> AsyncIterator[Receiver]:
    """Run one on a free port of 127.0.0.1."""
    receiver = Receiver(secret)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    receiver.url = f"http://127.0.0.1:{port}/results"
    try:
        yield receiver
    finally:
        server.close()
