"""All sockets of one address: UDP, TCP and TLS, what comes in on them and goes out.

What one peer does hurts that peer alone: its messages are limited in number, its connections too,
a malformed one ends its connection, and one that does not read is cut off.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any, Protocol

import structlog

from bridges.race import cancel
from bridges.sip.connection import Connection
from bridges.sip.datagram import DatagramSocket, bind
from bridges.sip.quota import Quota
from bridges.sip.resolver import NoAddress, Resolver
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.flow import Destination, Flow, Send, Target, Transport

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S = 5.0
"""For one address; the next of the name is tried after it."""
MAX_ADDRESSES = 3
HANDSHAKE_TIMEOUT_S = 5.0
MAX_WAITING = 64
"""Messages that wait for a connection, or for a name's address."""
MAX_NAMED = 1_000
CONNECTION_COST = 10.0
"""Messages that opening a connection counts for: a TLS handshake is dear."""
BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Limits:
    """What peers may ask of us, so that none of them takes it from the others.

    Attributes:
        messages_per_s: of one address in the long run: far more than a carrier with all its calls
            here; a phone or a scanner meets its limit before anybody else feels it.
        burst_messages: of one address at a time.
        connections: in all.
        connections_of_one: of one address.
        unread_bytes: what may wait for a peer that does not read; above it, it is cut off.
    """

    messages_per_s: float = 500.0
    burst_messages: float = 1_000.0
    connections: int = 2_000
    connections_of_one: int = 100
    unread_bytes: int = 256 * 1024


DEFAULT_LIMITS = Limits()


class Listener(Protocol):
    """Who hears what comes in."""

    def message_arrived(self, data: bytes, flow: Flow) -> None:
        """Take one message.

        Raises:
            ProtocolError: it is none and came on a stream, which is closed therefore.
            Unwanted: its stream is to be closed at once.
        """

    def transport_failed(self, target: Target, detail: str) -> None:
        """Take note that a connection closed, or that something could not be sent there."""


class Unwanted(Exception):
    """Raised by a listener that wants no more of a connection, and says nothing to its peer."""


class Transports:
    """The sockets. `open` first; `send` never blocks and never raises; `close` at the end.

    Attributes:
        dropped: messages and connections refused unread, by cause.
    """

    def __init__(
        self,
        host: str,
        listener: Listener,
        resolver: Resolver,
        now: Callable[[], float],
        client_tls: ssl.SSLContext,
        server_tls: ssl.SSLContext | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._host = host
        self._local = None if ip_address(host).is_unspecified else (host, 0)
        self._listener = listener
        self._resolver = resolver
        self._now = now
        self._client_tls = client_tls
        self._server_tls = server_tls
        self._limits = limits
        self._quota = Quota(limits.messages_per_s, limits.burst_messages)
        self._ports: dict[Transport, int] = {}
        self._datagrams: DatagramSocket | None = None
        self._listening: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: dict[int, Connection] = {}
        self._from: Counter[str] = Counter()
        self._last_number = 0
        self._to: dict[Destination, Connection] = {}
        self._waiting: dict[Destination, list[bytes]] = {}
        self._named: dict[tuple[str, int], Destination] = {}

    @property
    def ports(self) -> Mapping[Transport, int]:
        """The ports in use."""
        return self._ports

    @property
    def connections(self) -> int:
        """How many TCP and TLS connections are open."""
        return len(self._connections)

    def open(self, port: int, tls_port: int) -> None:
        """Bind all sockets and serve.

        Raises:
            OSError: a port is in use, or the address is not ours.
        """
        stream = bind(self._host, port, socket.SOCK_STREAM)
        self._listening.append(stream)
        port = int(stream.getsockname()[1])
        datagrams = bind(self._host, port, socket.SOCK_DGRAM)
        self._datagrams = DatagramSocket(datagrams, self._datagram_arrived, self._unreachable)
        self._ports = {Transport.UDP: port, Transport.TCP: port}
        self._serve(stream, Transport.TCP, None)
        if self._server_tls is not None:
            secure = bind(self._host, tls_port, socket.SOCK_STREAM)
            self._listening.append(secure)
            self._ports[Transport.TLS] = int(secure.getsockname()[1])
            self._serve(secure, Transport.TLS, self._server_tls)

    async def close(self) -> None:
        """Close every socket; what was sent before still leaves, where its peer reads."""
        await cancel(*self._tasks)
        for listening in self._listening:
            listening.close()
        if self._datagrams is not None:
            self._datagrams.close()
        for connection in list(self._connections.values()):
            connection.close("stopping")
        await asyncio.sleep(0)

    def send(self, message: Send) -> None:
        """Put a message on the wire; what cannot be is told to the listener, later."""
        match message.to:
            case Flow(transport=Transport.UDP, host=host, port=port):
                self._send_datagram(message.data, host, port)
            case Flow() as flow:
                connection = self._connections.get(flow.connection)
                if connection is None or not connection.send(message.data):
                    self._fail(flow, "the connection is closed")
            case Destination() as destination:
                self._send_to(message.data, destination)

    # What a connection calls.

    def message_arrived(self, data: bytes, connection: Connection) -> None:
        """Take one message of a stream."""
        self._quota.charge(connection.flow.host, self._now(), 1.0)
        try:
            self._listener.message_arrived(data, connection.flow)
        except Unwanted:
            self.dropped["unwanted"] += 1
            connection.abort("unwanted")
        except ProtocolError as error:
            self.dropped["malformed"] += 1
            log.debug("sip_connection_malformed", peer_ip=connection.flow.host, detail=error.reason)
            raise

    def admits(self, connection: Connection, pings: int = 0) -> float:
        """Return for how long a stream is to wait, having answered so many keep-alives."""
        self._quota.charge(connection.flow.host, self._now(), pings)
        return self._quota.wait_s(connection.flow.host, self._now())

    def connection_closed(self, connection: Connection, detail: str) -> None:
        """Forget a connection."""
        flow = connection.flow
        if self._connections.pop(flow.connection, None) is None:
            return
        if not connection.is_ours:
            self._from[flow.host] -= 1
            if not self._from[flow.host]:
                del self._from[flow.host]
        self._fail(flow, detail)
        for destination, open_one in list(self._to.items()):
            if open_one is connection:
                del self._to[destination]
                self._fail(destination, detail)

    # UDP.

    def _datagram_arrived(self, data: bytes, host: str, port: int) -> None:
        if not self._quota.take(host, self._now()):
            self.dropped["quota"] += 1
            return
        self._listener.message_arrived(data, Flow(Transport.UDP, host, port))

    def _send_datagram(self, data: bytes, host: str, port: int) -> None:
        if self._datagrams is not None:
            self._datagrams.send(data, host, port)

    def _send_named(self, data: bytes, address: str, to: Destination) -> None:
        # Remembered, so that whoever sent to a name is told that nobody listens there.
        self._named.pop((address, to.port), None)
        self._named[(address, to.port)] = to
        if len(self._named) > MAX_NAMED:
            del self._named[next(iter(self._named))]
        self._send_datagram(data, address, to.port)

    def _unreachable(self, host: str, port: int, detail: str) -> None:
        self._listener.transport_failed(Flow(Transport.UDP, host, port), detail)
        if (named := self._named.get((host, port))) is not None:
            self._listener.transport_failed(named, detail)

    # Connections that come in.

    def _serve(
        self, listening: socket.socket, transport: Transport, tls: ssl.SSLContext | None
    ) -> None:
        listening.setblocking(False)
        listening.listen(BACKLOG)
        self._start(self._accept(listening, transport, tls), f"accept-{transport}")

    async def _accept(
        self, listening: socket.socket, transport: Transport, tls: ssl.SSLContext | None
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                # Out of file descriptors, or the peer was quicker to close than we to accept.
                log.warning("sip_accept_failed", error=type(error).__name__)
                await asyncio.sleep(0.1)
                continue
            host, port = str(address[0]), int(address[1])
            if (cause := self._excess(host)) is not None:
                self.dropped[cause] += 1
                accepted.close()
                continue
            connection = self._new(Flow(transport, host, port), is_ours=False)
            self._from[host] += 1
            self._start(self._adopt(connection, accepted, tls), "adopt")

    def _excess(self, host: str) -> str | None:
        """Return why no connection of this address is taken now, or None."""
        if len(self._connections) >= self._limits.connections:
            return "connections"
        if self._from[host] >= self._limits.connections_of_one:
            return "connections_of_one"
        return None if self._quota.take(host, self._now(), CONNECTION_COST) else "quota"

    async def _adopt(
        self, connection: Connection, accepted: socket.socket, tls: ssl.SSLContext | None
    ) -> None:
        """Shake hands, before which a connection counts for the limits already."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if tls else None,
            )
        except (OSError, TimeoutError) as error:
            self.dropped["handshake"] += 1
            connection.abort(type(error).__name__)

    def _new(self, flow: Flow, *, is_ours: bool) -> Connection:
        self._last_number += 1
        numbered = Flow(flow.transport, flow.host, flow.port, self._last_number)
        connection = Connection(
            self, numbered, is_ours=is_ours, max_unread_bytes=self._limits.unread_bytes
        )
        self._connections[numbered.connection] = connection
        return connection

    # What goes to a name.

    def _send_to(self, data: bytes, to: Destination) -> None:
        known = self._resolver.known(to.host)
        if to.transport is Transport.UDP and known:
            self._send_named(data, known[0], to)
            return
        if (connection := self._to.get(to)) is not None and connection.send(data):
            return
        if (waiting := self._waiting.get(to)) is not None:
            if len(waiting) < MAX_WAITING:
                waiting.append(data)
            return
        self._waiting[to] = [data]
        self._start(self._reach(to), "reach")

    async def _reach(self, to: Destination) -> None:
        """Find the address or open the connection, then send what has waited for it."""
        try:
            addresses = await self._resolver.addresses(to.host)
            if to.transport is Transport.UDP:
                for data in self._waiting.pop(to):
                    self._send_named(data, addresses[0], to)
                return
            connection = await self._connect(to, addresses[:MAX_ADDRESSES])
        except (NoAddress, OSError, TimeoutError) as error:
            self._waiting.pop(to, None)
            detail = str(error) if isinstance(error, NoAddress) else _plain(error)
            self._listener.transport_failed(to, detail)
            return
        self._to[to] = connection
        for data in self._waiting.pop(to):
            if not connection.send(data):
                break

    async def _connect(self, to: Destination, addresses: list[str]) -> Connection:
        """Open a connection to the first address that takes it."""
        tls = self._client_tls if to.transport is Transport.TLS else None
        for number, address in enumerate(addresses, 1):
            connection = self._new(Flow(to.transport, address, to.port), is_ours=True)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await asyncio.get_running_loop().create_connection(
                        partial(_itself, connection),
                        address,
                        to.port,
                        ssl=tls,
                        server_hostname=(to.server_name or to.host) if tls else None,
                        ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if tls else None,
                        local_addr=self._local,
                    )
            except BaseException as error:
                connection.abort(type(error).__name__)
                if not isinstance(error, OSError) or number == len(addresses):
                    raise
            else:
                return connection
        raise AssertionError("a name has one address at least")

    def _fail(self, target: Target, detail: str) -> None:
        asyncio.get_running_loop().call_soon(self._listener.transport_failed, target, detail)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _itself(connection: Connection) -> Connection:
    return connection


def _plain(error: Exception) -> str:
    """Return why a connection did not come about, in words that hold nothing of the peer's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return f"no connection: {type(error).__name__}"
