"""A real MCP server on loopback, by the `mcp` package: its tools answer, are slow or fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ImageContent, TextContent
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class McpFake:
    """What came to it.

    Attributes:
        url: where its protocol is spoken.
        port: of this machine.
        calls: every use of a tool, as it began.
        headers: of the last request.
        held: while clear, `wait` waits.
        silent: while set, no request is answered at all.
    """

    url: str = ""
    port: int = 0
    calls: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    silent: bool = False

    def server(self) -> MCPServer:
        server = MCPServer("stand-in", log_level="CRITICAL")

        @server.tool(description="Finds an order.")
        def find_order(order_id: str) -> str:
            self.calls.append(f"find_order {order_id}")
            return f"Order {order_id} is on its way."

        @server.tool(description="Waits.")
        async def wait(word: str) -> str:
            self.calls.append(f"wait {word}")
            await self.held.wait()
            return word

        @server.tool(description="Fails.")
        def fail() -> str:
            self.calls.append("fail")
            raise ToolError("no such order")

        @server.tool(description="Says much.")
        def much() -> str:
            return "x" * 50_000

        @server.tool(description="Shows a picture.", structured_output=False)
        def picture() -> list[TextContent | ImageContent]:
            image = ImageContent(type="image", data="AAAA", mime_type="image/png")
            return [TextContent(type="text", text="Here:"), image]

        @server.tool(description="Would end the call.")
        def end_call() -> str:
            self.calls.append("end_call")
            return "Ended here."

        return server

    def over(self, app: ASGIApp) -> ASGIApp:
        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                self.headers = {
                    name.decode("latin-1"): value.decode("latin-1")
                    for name, value in scope["headers"]
                }
                if self.silent:
                    await asyncio.Event().wait()
            await app(scope, receive, send)

        return noted


@asynccontextmanager
async def running_mcp_server(
    transport: str = "streamable_http", port: int = 0
) -> AsyncIterator[McpFake]:
    """Serve on loopback until left."""
    fake = McpFake()
    fake.held.set()
    made = fake.server()
    app = made.sse_app() if transport == "sse" else made.streamable_http_app()
    config = uvicorn.Config(
        fake.over(app), "127.0.0.1", port, log_config=None, timeout_graceful_shutdown=0
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    fake.port = server.servers[0].sockets[0].getsockname()[1]
    fake.url = f"http://127.0.0.1:{fake.port}/{'sse' if transport == 'sse' else 'mcp'}"
    try:
        yield fake
    finally:
        fake.held.set()
        server.should_exit = server.force_exit = True
        await serving
