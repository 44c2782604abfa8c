"""A CRM over real HTTP: it answers, is slow, fails, or goes on for ever, as it is told."""

from __future__ import annotations

import asyncio
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
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeCrm:
    """What it does, and what it was asked.

    Attributes:
        url: where it is.
        answer: JSON, or text that is none.
        status: the status of its answer.
        delay_s: how long it thinks first.
        held: while clear, it thinks on.
        trickles: whether it sends a byte now and then instead, for ever.
        asked: the requests, in order.
    """

    url: str = ""
    answer: Any = field(default_factory=dict)
    status: int = 200
    delay_s: float = 0.0
    held: asyncio.Event = field(default_factory=asyncio.Event)
    trickles: bool = False
    asked: list[Asked] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def told(self, path: str) -> Asked:
        """Wait for a request to this path, and return it."""
        async with asyncio.timeout(10):
            while True:
                for asked in self.asked:
                    if asked.path == path:
                        return asked
                self.came.clear()
                await self.came.wait()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(
            Asked(
                request.method,
                request.path_qs.partition("?")[0],
                dict(request.query),
                dict(request.headers),
                body,
            )
        )
        self.came.set()
        await self.held.wait()
        await asyncio.sleep(self.delay_s)
        if self.trickles:
            return await self._trickle(request)
        if isinstance(self.answer, str):
            headers = {"Location": f"{self.url}/elsewhere"}
            return web.Response(status=self.status, text=self.answer, headers=headers)
        return web.json_response(self.answer, status=self.status)

    async def _trickle(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running_crm(**behaviour: Any) -> AsyncIterator[FakeCrm]:
    """Serve on loopback until left."""
    crm = FakeCrm(**behaviour)
    crm.held.set()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", crm.serve)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        crm.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield crm
    finally:
        crm.held.set()
        await runner.cleanup()
