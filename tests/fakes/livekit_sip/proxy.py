"""Passes HTTP and WebSockets through to a LiveKit server, byte for byte."""

from __future__ import annotations

import asyncio
from typing import Protocol

import aiohttp
from aiohttp import WSMsgType, web

_HOP_BY_HOP = frozenset(
    {"connection", "content-encoding", "content-length", "host", "transfer-encoding", "upgrade"}
)
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class _Socket(Protocol):
    """Either end of a WebSocket."""

    async def receive(self) -> aiohttp.WSMessage: ...
    async def send_bytes(self, data: bytes) -> None: ...
    async def send_str(self, data: str) -> None: ...
    async def close(self, *, code: int = 1000) -> bool: ...


class Proxy:
    """A way through to one server."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url.replace("ws://", "http://", 1).rstrip("/")
        self._http = http

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer as the server does."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        async with self._http.request(
            request.method,
            f"{self._url}{request.path_qs}",
            headers=headers,
            data=await request.read(),
        ) as answer:
            body = await answer.read()
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
            return web.Response(status=answer.status, body=body, headers=kept)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        kept = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _HOP_BY_HOP and not name.lower().startswith("sec-websocket")
        }
        try:
            upstream = await self._http.ws_connect(
                f"{self._url}{request.path_qs}", headers=kept, max_msg_size=MAX_MESSAGE_BYTES
            )
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status)
        down = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES)
        await down.prepare(request)
        ways = [
            asyncio.create_task(_carry(down, upstream)),
            asyncio.create_task(_carry(upstream, down)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await upstream.close()
            await down.close()
        return down


async def _carry(source: _Socket, sink: _Socket) -> None:
    while True:
        message = await source.receive()
        match message.type:
            case WSMsgType.BINARY:
                await sink.send_bytes(message.data)
            case WSMsgType.TEXT:
                await sink.send_str(message.data)
            case _:
                return
