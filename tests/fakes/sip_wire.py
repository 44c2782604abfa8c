"""Endpoints joined back to back: datagrams and connections in memory, and a clock that jumps."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from random import Random

from bridges.wire.sip.endpoint import Endpoint
from bridges.wire.sip.event import Event
from bridges.wire.sip.flow import Destination, Flow, Send, Transport
from bridges.wire.sip.framing import StreamFramer
from bridges.wire.sip.profile import Profile

LATENCY_S = 0.01
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
OTHER_SDP = SDP.replace(b"4000", b"5000")


def randomness(seed: int) -> Callable[[int], bytes]:
    """Return a source that gives every run the same octets."""
    return Random(seed).randbytes


@dataclass(frozen=True, slots=True)
class Passed:
    """A message on its way: who sent it to whom, and when."""

    at: float
    sender: str
    receiver: str
    data: bytes

    @property
    def first_line(self) -> str:
        """The start line."""
        return self.data.split(b"\r\n", 1)[0].decode("utf-8", "replace")

    @property
    def name(self) -> str:
        """The method, or the status."""
        words = self.first_line.split(" ")
        return words[1] if words[0] == "SIP/2.0" else words[0]


class Wire:
    """What connects endpoints, and their clock.

    Attributes:
        now: the present.
        passed: what was sent, lost or not.
        lose: whether a message gets lost; everything arrives unless a test sets it.
        react: what to do about an event of an endpoint, as a driver does.
    """

    def __init__(self) -> None:
        self.now = 100.0
        self.passed: list[Passed] = []
        self.told: dict[str, list[Event]] = {}
        self.lose: Callable[[Passed], bool] = lambda _passed: False
        self.react: dict[str, Callable[[Event], None]] = {}
        self.copies = 1
        self.jitter: Callable[[], float] = lambda: 0.0
        self._endpoints: dict[str, Endpoint] = {}
        self._framers: dict[tuple[str, int], StreamFramer] = {}
        self._connections: dict[int, tuple[str, str]] = {}
        self._waiting: list[tuple[float, int, str, bytes, Flow]] = []
        self._numbers = count(1)

    def endpoint(self, host: str, profile: Profile | None = None, seed: int = 1) -> Endpoint:
        """Return a new endpoint at that address."""
        ports = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061}
        profile = replace(profile or Profile(host), host=host, ports=ports)
        number = int(host.rpartition(".")[2])
        endpoint = Endpoint(profile, randomness(1000 * seed + number))
        self._endpoints[host] = endpoint
        self.told[host] = []
        return endpoint

    def destination(self, host: str, transport: Transport = Transport.UDP) -> Destination:
        """Return where an endpoint listens."""
        return Destination(transport, host, transport.default_port)

    def take(self, host: str, kind: type[Event] | None = None) -> list[Event]:
        """Return what an endpoint told and nobody fetched."""
        events, self.told[host] = self.told[host], []
        return events if kind is None else [each for each in events if isinstance(each, kind)]

    def names(self) -> list[str]:
        """Return methods and statuses of everything sent, in order."""
        return [each.name for each in self.passed]

    def run(self, seconds: float) -> None:
        """Let that much time pass."""
        end = self.now + seconds
        self._collect()
        while (due := self._next()) is not None and due <= end:
            self.now = max(self.now, due)
            self._step()
            self._collect()
        self.now = end

    def close(self, connection: int) -> None:
        """Break a connection; both ends see it."""
        one, other = self._connections.pop(connection)
        for host, peer in ((one, other), (other, one)):
            for port in (5060, 40_000 + connection):
                flow = Flow(Transport.TCP, peer, port, connection)
                self._tell(host, self._endpoints[host].transport_failed(flow, "closed", self.now))
        self._collect()

    def connections(self) -> list[int]:
        """Return the numbers of the open connections."""
        return list(self._connections)

    def _next(self) -> float | None:
        dues = [each.deadline() for each in self._endpoints.values()]
        dues += [self._waiting[0][0]] if self._waiting else []
        return min((each for each in dues if each is not None), default=None)

    def _step(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.now:
            _, _, host, data, flow = heapq.heappop(self._waiting)
            endpoint = self._endpoints[host]
            messages = [data]
            if flow.connection:
                framer = self._framers.setdefault((host, flow.connection), StreamFramer())
                messages = framer.receive(data)
            for message in messages:
                self._tell(host, endpoint.receive(message, flow, self.now))
        for host, endpoint in self._endpoints.items():
            self._tell(host, endpoint.expire(self.now))

    def _tell(self, host: str, events: list[Event]) -> None:
        for event in events:
            self.told[host].append(event)
            if host in self.react:
                self.react[host](event)

    def _collect(self) -> None:
        for host, endpoint in self._endpoints.items():
            for send in endpoint.outgoing():
                self._post(host, endpoint, send)

    def _post(self, host: str, endpoint: Endpoint, send: Send) -> None:
        target = send.to
        passed = Passed(self.now, host, target.host, send.data)
        self.passed.append(passed)
        if target.host not in self._endpoints:
            return
        flow = Flow(Transport.UDP, host, 5060)
        if target.transport.is_reliable:
            number = target.connection if isinstance(target, Flow) else self._connect(host, target)
            if number not in self._connections:
                self._tell(host, endpoint.transport_failed(target, "closed", self.now))
                return
            is_opener = self._connections[number][0] == host
            flow = Flow(target.transport, host, 40_000 + number if is_opener else 5060, number)
        if self.lose(passed):
            return
        for _ in range(1 if flow.connection else self.copies):
            due = self.now + LATENCY_S + (0.0 if flow.connection else self.jitter())
            heapq.heappush(self._waiting, (due, next(self._numbers), target.host, send.data, flow))

    def _connect(self, host: str, destination: Destination) -> int:
        for number, ends in self._connections.items():
            if ends == (host, destination.host):
                return number
        number = next(self._numbers)
        self._connections[number] = (host, destination.host)
        return number
