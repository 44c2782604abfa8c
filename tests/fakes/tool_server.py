"""A tool's server over real HTTP: it answers as it is told, and can be as hostile as one likes."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes


@dataclass
class ToolServer:
    """What it does, and what it was asked.

    Attributes:
        url: where it is.
        answer: JSON; or bytes, sent as they are.
        status: the status of its answer.
        content_type: of an answer in bytes.
        headers: more of its answer's.
        misbehaves: `drip` (a byte now and then, for ever), `flood` (a gigabyte), `bomb` (a small
            answer that unpacks to a huge one), `reset` (hangs up without an answer) or `hang`.
        held: while clear, it thinks on.
        asked: the requests, in order.
    """

    url: str = ""
    answer: Any = field(default_factory=dict)
    status: int = 200
    content_type: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)
    misbehaves: str = ""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Asked] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        query = list(request.query.items())
        path = request.path_qs.partition("?")[0]
        self.asked.append(Asked(request.method, path, query, dict(request.headers), body))
        self.came.set()
        await self.held.wait()
        match self.misbehaves:
            case "drip":
                return await self._pour(request, b" ", 0.02)
            case "flood":
                return await self._pour(request, b"x" * 65536, 0)
            case "bomb":
                packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
                return web.Response(body=gzip.compress(b" " * 10_000_000), headers=packed)
            case "reset":
                assert request.transport is not None
                request.transport.abort()
            case "hang":
                await asyncio.Event().wait()
        if isinstance(self.answer, bytes):
            headers = {"Content-Type": self.content_type, **self.headers}
            return web.Response(status=self.status, body=self.answer, headers=headers)
        return web.json_response(self.answer, status=self.status, headers=self.headers)

    async def _pour(self, request: web.Request, piece: bytes, pause_s: float) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(2**30 // len(piece)):
            await response.write(piece)
            await asyncio.sleep(pause_s)
        return response


@asynccontextmanager
async def running_tool_server(**behaviour: Any) -> AsyncIterator[ToolServer]:
    """Serve on loopback until left."""
    server = ToolServer(**behaviour)
    server.held.set()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", server.serve)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        server.held.set()
        await runner.cleanup()
