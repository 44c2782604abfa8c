"""Both ends of a carrier's stream on loopback: a leg of ours, and the carrier's bare socket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from bridges.clock import Clock
from bridges.ending import Ending
from bridges.exotel_leg import ExotelLeg
from bridges.leg import LegEvent
from bridges.socket_leg import SocketLeg
from bridges.stream_leg import StreamLeg
from bridges.wire.dialler import DiallerServer
from bridges.wire.exotel import ExotelServer
from contracts.report import LegAnswered

VECTORS = Path(__file__).parents[1] / "vectors"

L = TypeVar("L", bound="SocketLeg[Any]")
MakeLeg = Callable[[ServerConnection, Clock, Callable[[float], None]], L]


@dataclass(frozen=True)
class Door(Generic[L]):
    """A protocol that carriers speak to us.

    Attributes:
        make: makes the leg.
        handshake: what a carrier says until its call is answered.
        media: caller audio, in its words.
        stop: the caller has hung up, in its words.
        audio, clear: what bot audio, and taking it back, are called.
    """

    make: Callable[..., MakeLeg[L]]
    handshake: list[str]
    media: str
    stop: str
    audio: str
    clear: str


def _dialler(**timeouts: float) -> MakeLeg[StreamLeg]:
    return lambda connection, clock, late: StreamLeg(
        connection, DiallerServer(clock.now(), **timeouts), clock, late
    )


def _exotel(handshake_timeout_s: float = 5.0, media_timeout_s: float = 5.0) -> MakeLeg[ExotelLeg]:
    timeouts = {
        "handshake_timeout_s": handshake_timeout_s,
        "media_timeout_s": media_timeout_s,
    }

    def make(
        connection: ServerConnection, clock: Clock, late: Callable[[float], None]
    ) -> ExotelLeg:
        server = ExotelServer(clock.now(), url_rate="", **timeouts)
        return ExotelLeg(connection, server, clock, late)

    return make


def _said(door: str) -> list[str]:
    return (VECTORS / door / "incoming.jsonl").read_text().splitlines()


_D, _E = _said("dialler"), _said("exotel")
DIALLER = Door(_dialler, _D[:3], _D[3], _D[-1], "reverse-media", "reverse-media-stop")
EXOTEL = Door(_exotel, _E[:2], _E[2], _E[-1], "media", "clear")


@dataclass
class Stream(Generic[L]):
    """Both ends of a stream: our leg, and the carrier's bare socket."""

    peer: ClientConnection
    leg: L
    door: Door[L]
    run: asyncio.Task[Ending]
    told: list[LegEvent] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)

    async def say(self, *messages: str | bytes) -> None:
        for message in messages:
            await self.peer.send(message)

    async def next_message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self.peer.recv(), 5))
        return message

    async def until(self, predicate: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not predicate():  # noqa: ASYNC110 - the leg tells by callback
                await asyncio.sleep(0.005)

    async def answered(self) -> None:
        await self.say(*self.door.handshake)
        await self.until(lambda: any(isinstance(event, LegAnswered) for event in self.told))

    async def ending(self) -> Ending:
        return await asyncio.wait_for(asyncio.shield(self.run), 10)


@asynccontextmanager
async def stream(door: Door[L], **timeouts: float) -> AsyncIterator[Stream[L]]:
    """Run a leg behind a door, with small buffers on the way to it."""
    streams: asyncio.Queue[Callable[[ClientConnection], Stream[L]]] = asyncio.Queue()
    over = asyncio.Event()

    async def carry(connection: ServerConnection) -> None:
        kernel_socket = connection.transport.get_extra_info("socket")
        kernel_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        clock, told, late_s = Clock(), list[LegEvent](), list[float]()
        leg = door.make(**timeouts)(connection, clock, late_s.append)
        run = asyncio.create_task(leg.run(told.append))
        streams.put_nowait(lambda peer: Stream(peer, leg, door, run, told, late_s))
        await over.wait()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await leg.close()

    with socket.socket() as small:
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with serve(
            carry, "127.0.0.1", 0, max_size=None, ping_interval=None, close_timeout=0.2
        ) as server:
            port = server.sockets[0].getsockname()[1]
            small.setblocking(False)
            await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", port))
            async with connect(
                f"ws://127.0.0.1:{port}", sock=small, compression=None, close_timeout=0.2
            ) as peer:
                yield (await streams.get())(peer)
            over.set()
