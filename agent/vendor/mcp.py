"""One MCP server: a session with it by the framework's client, through the egress guard."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import structlog
from livekit.agents.llm import ToolError
from livekit.agents.llm.mcp import MCPServer
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    REQUEST_TIMEOUT,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
)

from contracts.tool import McpServer
from sidecar.client import EgressGuard, EgressRefused

log = structlog.get_logger(__name__)

MAX_ANSWER_BYTES = 1024 * 1024
MAX_STREAM_BYTES = 16 * 1024 * 1024
MAX_PAGES = 16
MAX_CURSOR_CHARS = 4096
_STREAM_IDLE_S = 3600.0
"""A server that has nothing to say keeps its stream open; each use has a time-out of its own."""

_LOST = frozenset(
    {CONNECTION_CLOSED, INTERNAL_ERROR, INVALID_REQUEST, PARSE_ERROR, REQUEST_TIMEOUT}
)
"""Errors that the client makes of a server that is away, or that knows the session no more."""

# What it logs of an answer that it cannot read is the answer.
logging.getLogger("mcp").setLevel(logging.CRITICAL)


class McpConnection(MCPServer):
    """A server of a bot's. Connect with `initialize`, close with `aclose`."""

    def __init__(
        self,
        server: McpServer,
        url: str,
        headers: Mapping[str, str],
        guard: EgressGuard,
        tls: ssl.SSLContext,
    ) -> None:
        super().__init__(client_session_timeout_seconds=server.timeout_s)
        self._transport = server.transport
        self._url = url
        self._headers = dict(headers)
        self._timeout = httpx2.Timeout(server.timeout_s, read=_STREAM_IDLE_S)
        self._guard = guard
        self._tls = tls

    async def offers(self) -> list[Any]:
        """Return the server's tools as it lists them, sound or not, of its first pages.

        Raises:
            MCPError: it refuses, or is away.
            ValueError: its answer is no list.
        """
        found: list[Any] = []
        asked: set[str] = set()
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._page(cursor)
            if not isinstance(page.get("tools"), list):
                raise ValueError("no list of tools")
            found += page["tools"]
            cursor = page.get("nextCursor")
            if not cursor:
                return found
            if not isinstance(cursor, str) or len(cursor) > MAX_CURSOR_CHARS or cursor in asked:
                break
            asked.add(cursor)
        log.warning("MCP server lists on and on", tools=len(found))
        return found

    async def _page(self, cursor: str | None) -> dict[str, Any]:
        # Not by the client's `list_tools`: that takes no page with one tool on it that is none.
        assert self._client is not None
        asked: dict[str, Any] = {"method": "tools/list", "params": {}}
        if cursor is not None:
            asked["params"]["cursor"] = cursor
        options: CallOptions = {"timeout": self._read_timeout}
        self._client._stamp(asked, options)
        return await self._client._dispatcher.send_raw_request(
            asked["method"], asked["params"], options
        )

    async def use(self, name: str, arguments: dict[str, Any]) -> str:
        """Return what a tool answers, as text.

        Raises:
            ToolError: the server's own word of why it does not.
            MCPError: the server is away.
        """
        # Not by the client's `call_tool`: that holds results to the server's own schema, whose
        # patterns may take for ever, and what fails there can be read by a model all the same.
        assert self._client is not None
        params = CallToolRequestParams(name=name, arguments=arguments)
        try:
            result = await self._client.send_request(CallToolRequest(params=params), CallToolResult)
        except MCPError as error:
            if error.code in _LOST:
                raise
            raise ToolError(error.message) from error
        if result.is_error:
            raise ToolError(_text_of(result) or "The tool failed.")
        return _text_of(result) or "Done."

    def client_streams(self) -> AbstractAsyncContextManager[Any]:
        if self._transport == "sse":
            return sse_client(self._url, httpx_client_factory=self._client_as_asked)
        return self._streamable()

    @asynccontextmanager
    async def _streamable(self) -> AsyncIterator[Any]:
        async with (
            self._new_client() as http,
            streamable_http_client(self._url, http_client=http) as streams,
        ):
            yield streams

    def _client_as_asked(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        # The arguments are the transport's defaults: it was told nothing else.
        return self._new_client()

    def _new_client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=GuardedTransport(self._guard, self._tls),
            headers={**self._headers, "Accept-Encoding": "identity"},
            timeout=self._timeout,
            trust_env=False,
        )


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Looks each request's host up by the egress guard and connects to what passed, no other."""

    def __init__(self, guard: EgressGuard, tls: ssl.SSLContext) -> None:
        self._guard = guard
        self._inner = httpx2.AsyncHTTPTransport(verify=tls, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            target = await self._guard.check(str(request.url))
        except EgressRefused as error:
            raise httpx2.ConnectError(str(error), request=request) from error
        headers = httpx2.Headers(request.headers)
        headers["Host"] = target.host_header
        response = await self._inner.handle_async_request(
            httpx2.Request(
                request.method,
                request.url.copy_with(host=target.url.host),
                headers=headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": target.server_name},
            )
        )
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            # A small answer could become a huge one.
            await response.aclose()
            raise httpx2.ReadError("the answer is compressed", request=request)
        is_stream = response.headers.get("Content-Type", "").startswith("text/event-stream")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        limit = MAX_STREAM_BYTES if is_stream else MAX_ANSWER_BYTES
        response.stream = _Bounded(response.stream, limit)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, limit_bytes: int) -> None:
        self._stream = stream
        self._left_bytes = limit_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._left_bytes -= len(chunk)
            if self._left_bytes < 0:
                raise httpx2.ReadError("the answer is too big")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _text_of(result: CallToolResult) -> str:
    """Return a result as text; what is none is named."""
    parts = [part.text if part.type == "text" else f"({part.type})" for part in result.content]
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)
