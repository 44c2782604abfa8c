"""`FakeSidecar` on a port of this machine, for processes that are not the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes.sidecar import FakeSidecar


@asynccontextmanager
async def served(sidecar: FakeSidecar) -> AsyncIterator[str]:
    """Serve it; yield its URL."""

    async def answer(request: Request) -> Response:
        asked = httpx.Request(
            request.method, str(request.url), headers=request.headers, content=await request.body()
        )
        given = await sidecar.answer(asked)
        return Response(given.content, given.status_code, media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    config = uvicorn.Config(app, "127.0.0.1", 0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = server.force_exit = True
    await serving
