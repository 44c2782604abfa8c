"""A network between two UDP ends: it loses, delays, reorders and cuts, by a seed, and counts."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

MAX_DATAGRAM_BYTES = 65_535
SOCKET_BUFFER_BYTES = 1 << 20
"""A burst must not be lost in the kernel, where nobody counts it."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to datagrams, in either direction alike.

    Attributes:
        loss: share that never arrives.
        delay_s: what each one waits.
        jitter_s: what it waits on top, evenly spread; order is kept.
        reorder: share that is held back by `held_back_s`, so that later ones overtake it.
        held_back_s: for how long.
    """

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reorder: float = 0.0
    held_back_s: float = 0.03


CLEAR = Weather()


class Line:
    """One direction of one pair of ends: says when a datagram is due. Pure.

    Attributes:
        tally: datagrams by what became of them (`sent`, `lost`, `cut`, `reordered`) and bytes by
            kind (`dtls_bytes`, `rtp_bytes`, `stun_bytes`), of what was let through.
    """

    def __init__(self, seed: str) -> None:
        self.tally: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._last_due = 0.0

    def due(self, datagram: bytes, now: float, weather: Weather, *, is_cut: bool) -> float | None:
        """Return when to pass a datagram on, or None where it is lost."""
        chance, spread, place = (self._random.random() for _ in range(3))
        if is_cut or chance < weather.loss:
            self.tally["cut" if is_cut else "lost"] += 1
            return None
        self.tally["sent"] += 1
        self.tally[f"{_kind(datagram)}_bytes"] += len(datagram)
        due = now + weather.delay_s + spread * weather.jitter_s
        if place < weather.reorder:
            self.tally["reordered"] += 1
            return due + weather.held_back_s
        self._last_due = max(self._last_due, due)
        return self._last_due


def _kind(datagram: bytes) -> str:
    """Return what a datagram is by its first byte (RFC 7983)."""
    first = datagram[0] if datagram else 0
    if first < 4:
        return "stun"
    return "dtls" if first < 64 else "rtp"


@dataclass(slots=True)
class _Flow:
    """One client's way through: a socket of its own towards the server."""

    client: tuple[str, int]
    upstream: socket.socket
    up: Line
    down: Line


@dataclass(slots=True)
class UdpRelay:
    """Carries datagrams between any number of clients and one server port of this machine.

    `async with UdpRelay(target_port) as relay`; clients send to `relay.port`.

    Attributes:
        weather: may be changed at any time.
        is_cut: nothing passes while True.
    """

    target_port: int
    seed: int = 1
    weather: Weather = CLEAR
    is_cut: bool = False
    port: int = 0
    _socket: socket.socket = field(init=False)
    _flows: dict[tuple[str, int], _Flow] = field(default_factory=dict)
    _closed: bool = False

    async def __aenter__(self) -> Self:
        self._socket = _udp_socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._socket, self._read_clients)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        loop = asyncio.get_running_loop()
        for each in (self._socket, *(flow.upstream for flow in self._flows.values())):
            loop.remove_reader(each)
            each.close()

    @property
    def up(self) -> Counter[str]:
        """What went from clients to the server; see `Line.tally`."""
        return sum((flow.up.tally for flow in self._flows.values()), Counter())

    @property
    def down(self) -> Counter[str]:
        """What went from the server to clients."""
        return sum((flow.down.tally for flow in self._flows.values()), Counter())

    async def cut(self, seconds: float) -> None:
        """Let nothing pass for a while."""
        self.is_cut = True
        try:
            await asyncio.sleep(seconds)
        finally:
            self.is_cut = False

    def _read_clients(self) -> None:
        while (received := _receive(self._socket)) is not None:
            datagram, client = received
            flow = self._flows.get(client) or self._open(client)
            self._pass(flow.up, datagram, flow.upstream, None)

    def _read_server(self, flow: _Flow) -> None:
        while (received := _receive(flow.upstream)) is not None:
            self._pass(flow.down, received[0], self._socket, flow.client)

    def _open(self, client: tuple[str, int]) -> _Flow:
        upstream = _udp_socket()
        upstream.connect(("127.0.0.1", self.target_port))
        lines = [Line(f"{self.seed}-{len(self._flows)}-{way}") for way in ("up", "down")]
        flow = self._flows[client] = _Flow(client, upstream, *lines)
        asyncio.get_running_loop().add_reader(upstream, self._read_server, flow)
        return flow

    def _pass(
        self, line: Line, datagram: bytes, out: socket.socket, to: tuple[str, int] | None
    ) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = line.due(datagram, now, self.weather, is_cut=self.is_cut)
        if due is None:
            return
        if due <= now:
            self._send(out, datagram, to)
        else:
            loop.call_at(due, self._send, out, datagram, to)

    def _send(self, out: socket.socket, datagram: bytes, to: tuple[str, int] | None) -> None:
        if self._closed:
            return
        try:
            if to is None:
                out.send(datagram)
            else:
                out.sendto(datagram, to)
        except OSError:
            return  # an end that is gone, as on any network


def _udp_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
    return made


def _receive(end: socket.socket) -> tuple[bytes, tuple[str, int]] | None:
    try:
        return end.recvfrom(MAX_DATAGRAM_BYTES)
    except OSError:
        return None  # nothing left, or the far end refuses
