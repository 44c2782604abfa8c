"""Signalling's end of the line to one media process, and what is known of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from bridges.sip import ipc

log = structlog.get_logger(__name__)

PING_INTERVAL_S = 1.0
SILENCE_S = 3.0
"""Without a pong for so long a process is given up: its calls hear nothing either."""
MAX_UNREAD_BYTES = 4 * 1024 * 1024


class LinkLost(Exception):
    """The media process is gone, hangs or talks nonsense; the text says which."""


class MediaLink:
    """One media process as signalling sees it.

    Attributes:
        bridge_id: its name at the sidecar, `""` until it is ready.
        is_ready: whether it has said so.
        max_calls: how many legs it carries; 0 also when it takes no more.
        legs: the names of those it has.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        now: Callable[[], float],
    ) -> None:
        self.bridge_id = ""
        self.is_ready = False
        self.max_calls = 0
        self.legs: set[str] = set()
        self._reader = reader
        self._writer = writer
        self._now = now
        self._pings = 0
        self._heard_at = now()

    @property
    def free(self) -> int:
        """How many more calls it takes."""
        return max(0, self.max_calls - len(self.legs))

    def send(self, message: ipc.ToMedia) -> None:
        """Tell it something; a process that is gone is noticed by `run`."""
        if not self._writer.is_closing():
            self._writer.write(ipc.serialize(message))

    async def run(self, on_order: Callable[[ipc.LegOrder], None]) -> None:
        """Take its orders until it is lost.

        Raises:
            LinkLost: always, in the end.
        """
        pinging = asyncio.create_task(self._ping(), name="ping")
        reading = asyncio.create_task(self._read(on_order), name="read")
        try:
            done, _ = await asyncio.wait({pinging, reading}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (pinging, reading):
                task.cancel()
            await asyncio.gather(pinging, reading, return_exceptions=True)
            self._writer.transport.abort()

    async def _read(self, on_order: Callable[[ipc.LegOrder], None]) -> None:
        while True:
            try:
                line = await self._reader.readline()
            except (OSError, ValueError) as error:
                raise LinkLost(f"cannot be read: {type(error).__name__}") from error
            if not line.endswith(b"\n"):
                raise LinkLost("gone")
            try:
                message = ipc.parse_to_signalling(line)
            except ValueError as error:
                raise LinkLost("talks nonsense") from error
            self._heard_at = self._now()
            match message:
                case ipc.Ready():
                    self.is_ready = True
                    self.bridge_id, self.max_calls = message.bridge_id, message.max_calls
                    log.info("sip_media_ready", bridge_id=self.bridge_id, calls=self.max_calls)
                case ipc.Pong():
                    pass
                case _:
                    on_order(message)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_INTERVAL_S)
            # Before it is ready it loads its libraries, which takes longer; its parent waits.
            if self.is_ready and self._now() - self._heard_at > SILENCE_S:
                raise LinkLost("does not answer")
            if self._writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
                raise LinkLost("does not read")
            self._pings += 1
            self.send(ipc.Ping(number=self._pings))
