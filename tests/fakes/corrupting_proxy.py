"""A connection that flips bits: what goes up through it arrives, but not as it was sent."""

from __future__ import annotations

import asyncio
from typing import Self


class CorruptingProxy:
    """`async with CorruptingProxy(port, b"mark") as proxy`; clients connect to `proxy.url`.

    Attributes:
        is_corrupting: whether the marked bytes are changed on their way.
        changed: how often they were.
    """

    def __init__(self, port: int, mark: bytes) -> None:
        self.is_corrupting = True
        self.changed = 0
        self._port = port
        self._mark = mark
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where clients find the server."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._copy(reader, back, is_upward=True))
                ways.create_task(self._copy(there, writer, is_upward=False))
        except* ConnectionError:
            pass
        finally:
            back.close()
            writer.close()
            self._carrying.discard(task)

    async def _copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, is_upward: bool
    ) -> None:
        while data := await source.read(64 * 1024):
            if is_upward and self.is_corrupting and self._mark in data:
                self.changed += 1
                data = data.replace(self._mark, bytes(byte ^ 1 for byte in self._mark), 1)
            target.write(data)
            await target.drain()
        target.close()
