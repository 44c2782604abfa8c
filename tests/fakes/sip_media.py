"""A media process without media: obeys a script over the real line to signalling.

What it does with a call says the number dialled: `busy` and `decline` are refused 486 and 603,
`silent` is never answered, `full` is refused 503; anything else is answered. Re-INVITEs are always
accepted. `python -m tests.fakes.sip_media FD` is one as a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from typing import TypeVar

from bridges.sip import ipc

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 41000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-15\r\na=sendrecv\r\n"
)
REFUSALS = {"busy": 486, "decline": 603, "full": 503}

News = TypeVar("News")


class FakeMedia:
    """One media process's end of the line.

    Attributes:
        heard: everything signalling said, pings left out.
        answers_pings: whether it still does.
        silent: whether calls wait for the test's own orders.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        max_calls: int = 8,
        bridge_id: str = "media",
    ) -> None:
        self.heard: list[ipc.ToMedia] = []
        self.answers_pings = True
        self.silent = False
        self._reader = reader
        self._writer = writer
        self._changed = asyncio.Condition()
        self.tell(ipc.Ready(bridge_id=bridge_id, max_calls=max_calls))

    def tell(self, message: ipc.ToSignalling) -> None:
        """Say something to signalling."""
        self._writer.write(ipc.serialize(message))

    async def run(self) -> None:
        """Obey until signalling is gone."""
        while line := await self._reader.readline():
            message = ipc.parse_to_media(line)
            if isinstance(message, ipc.Ping):
                if self.answers_pings:
                    self.tell(ipc.Pong(number=message.number))
                continue
            self._act(message)
            async with self._changed:
                self.heard.append(message)
                self._changed.notify_all()

    async def hear(
        self,
        kind: type[News],
        matches: Callable[[News], bool] = lambda _: True,
        timeout_s: float = 10.0,
    ) -> News:
        """Wait for a message of that kind; return the first that matches."""

        def found() -> list[News]:
            return [each for each in self.heard if isinstance(each, kind) and matches(each)]

        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: bool(found()))
        return found()[0]

    def kinds(self) -> list[str]:
        """Return the kinds of what was heard, in order."""
        return [each.type for each in self.heard]

    def close(self) -> None:
        """Die."""
        self._writer.transport.abort()

    def _act(self, message: ipc.ToMedia) -> None:
        match message:
            case ipc.Incoming(leg=leg, did=did) if not self.silent:
                if did in REFUSALS:
                    self.tell(ipc.Refuse(leg=leg, status_code=REFUSALS[did]))
                elif did != "silent":
                    self.tell(ipc.Answer(leg=leg, sdp=SDP))
            case ipc.Reoffered(leg=leg):
                self.tell(ipc.Reanswer(leg=leg, sdp=SDP))
            case _:
                pass


async def opened(end: socket.socket, *, max_calls: int = 8, bridge_id: str = "media") -> FakeMedia:
    """Return one on its end of a socket pair."""
    reader, writer = await asyncio.open_unix_connection(sock=end, limit=ipc.MAX_LINE_BYTES)
    return FakeMedia(reader, writer, max_calls=max_calls, bridge_id=bridge_id)


async def _main(number: int) -> None:
    most = int(os.environ.get("SIP_MEDIA_MAX_CALLS", "8"))
    media = await opened(socket.socket(fileno=number), max_calls=most)
    await media.run()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
