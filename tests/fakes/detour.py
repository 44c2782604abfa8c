"""A LiveKit server behind a network of its own: signalling is proxied, media goes by a relay.

A server names the addresses at which its media is to be reached (ICE candidates) in the signalling,
and so do clients. The proxy names the relay's instead of the server's and drops the clients' own,
so that the relay is the only way there is.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from livekit.protocol.rtc import SignalRequest, SignalResponse
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.fakes.udp_relay import CLEAR, UdpRelay, Weather

_CANDIDATE = re.compile(
    r"(?P<head>candidate:\S+ \d+) (?P<protocol>\S+) (?P<priority>\d+) (?P<address>\S+) "
    r"(?P<port>\d+)(?P<rest> typ host.*)"
)


class Detour:
    """`async with Detour(url, udp_port) as detour`; clients connect to `detour.url`.

    Attributes:
        relay: what carries the media.
    """

    def __init__(
        self, livekit_url: str, udp_port: int, *, seed: int = 1, weather: Weather = CLEAR
    ) -> None:
        self.relay = UdpRelay(udp_port, seed, weather)
        self._livekit_url = livekit_url
        self._server: Server | None = None
        self._open: set[ServerConnection] = set()
        self._is_out = False

    async def __aenter__(self) -> Self:
        await self.relay.__aenter__()
        self._server = await serve(self._carry, "127.0.0.1", 0, max_size=None, compression=None)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close(close_connections=True)
        await self._server.wait_closed()
        await self.relay.__aexit__()

    @property
    def url(self) -> str:
        """Where clients find the server."""
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}"

    def drop_signalling(self) -> None:
        """Break every signalling connection, without a word."""
        for connection in self._open:
            connection.transport.abort()

    async def outage(self, seconds: float) -> None:
        """Let neither media nor signalling through for a while, nor anybody connect."""
        self._is_out = True
        self.drop_signalling()
        try:
            await self.relay.cut(seconds)
        finally:
            self._is_out = False

    async def _carry(self, client: ServerConnection) -> None:
        assert client.request is not None
        if self._is_out:
            client.transport.abort()
            return
        headers = {
            name: client.request.headers[name]
            for name in ("Authorization", "User-Agent")
            if name in client.request.headers
        }
        asked = urlsplit(client.request.path)
        url = f"{self._livekit_url}{asked.path}?{asked.query}"
        self._open.add(client)
        try:
            async with (
                connect(url, additional_headers=headers, max_size=None, compression=None) as server,
                asyncio.TaskGroup() as both,
            ):
                both.create_task(self._pump_up(client, server))
                both.create_task(self._pump_down(server, client))
        finally:
            self._open.discard(client)

    async def _pump_up(self, client: ServerConnection, server: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in client:
                passed = strip_request(message) if isinstance(message, bytes) else message
                if passed is not None:
                    await server.send(passed)
        await server.close()

    async def _pump_down(self, server: ClientConnection, client: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in server:
                await client.send(
                    point_response(message, self.relay.port)
                    if isinstance(message, bytes)
                    else message
                )
        await client.close()


def strip_request(message: bytes) -> bytes | None:
    """Return what a client said without its own candidates; None if that was all of it."""
    request = SignalRequest.FromString(message)
    kind = request.WhichOneof("message")
    if kind == "trickle":
        return None
    if kind in {"offer", "answer"}:
        description = getattr(request, kind)
        description.sdp = _without_candidates(description.sdp)
        return request.SerializeToString()
    return message


def point_response(message: bytes, port: int) -> bytes:
    """Return what a server said with every candidate of its own at `port` of this machine."""
    response = SignalResponse.FromString(message)
    kind = response.WhichOneof("message")
    if kind == "trickle":
        candidate = json.loads(response.trickle.candidateInit)
        candidate["candidate"] = _CANDIDATE.sub(_at(port), candidate["candidate"])
        response.trickle.candidateInit = json.dumps(candidate)
    elif kind in {"offer", "answer"}:
        description = getattr(response, kind)
        description.sdp = _CANDIDATE.sub(_at(port), description.sdp)
    else:
        return message
    return response.SerializeToString()


def _at(port: int) -> str:
    return rf"\g<head> \g<protocol> \g<priority> 127.0.0.1 {port}\g<rest>"


def _without_candidates(sdp: str) -> str:
    return "".join(
        line for line in sdp.splitlines(keepends=True) if not line.startswith("a=candidate:")
    )
