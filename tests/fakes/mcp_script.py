"""An MCP server that says what it is told to, sound or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

_GREETING = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "script", "version": "1"},
}


@asynccontextmanager
async def running_mcp_script(
    tools: Sequence[Any],
    answers: Mapping[str, Mapping[str, Any]] | None = None,
    page: Callable[[Any], Mapping[str, Any]] | None = None,
) -> AsyncIterator[str]:
    """Serve on loopback until left; yield the URL.

    Args:
        tools: what it lists, as it lists it.
        answers: for each tool, `{"result": …}` or `{"error": …}`.
        page: from the cursor it is asked with to what it lists, in the place of `tools`.
    """

    async def serve(request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405)
        asked = await request.json()
        if "id" not in asked:
            return web.Response(status=202)
        match asked["method"]:
            case "initialize":
                said: Mapping[str, Any] = {"result": _GREETING}
            case "tools/list":
                cursor = asked.get("params", {}).get("cursor")
                said = {"result": page(cursor) if page else {"tools": list(tools)}}
            case "tools/call":
                said = (answers or {})[asked["params"]["name"]]
            case _:
                said = {"error": {"code": -32601, "message": "unknown"}}
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], **said})

    app = web.Application()
    app.router.add_route("*", "/mcp", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    finally:
        await runner.cleanup()
