"""RTP on real sockets of this machine: whatever needs no real network is in `test_rtp_stream`."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from bridges.clock import Clock
from bridges.sip.port_pool import PortPool, PortsExhausted
from bridges.sip.rtp_socket import MAX_UNSENT_BYTES, MOST_BIND_ATTEMPTS, RtpSocket
from bridges.sip.rtp_stream import CallerAudio, MediaStarted, RtpEvent
from bridges.wire.dtmf import Digit
from bridges.wire.media_plan import Codec, MediaPlan
from bridges.wire.sdp import Direction

PLAN = MediaPlan(
    codec=Codec.PCMA,
    payload_type=8,
    dtmf_payload_type=101,
    receives={8: Codec.PCMA},
    receives_dtmf=frozenset({101}),
    receives_noise=frozenset(),
    ptime_ms=20,
    direction=Direction.SENDRECV,
    remote=None,
    srtp=None,
)
LOUD = b"\x00\x40" * 160


@dataclass
class Heard:
    """What a socket emitted, and a wait for more."""

    events: list[RtpEvent] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def emit(self, event: RtpEvent) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, condition: Callable[[list[RtpEvent]], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition(self.events):
                self._changed.clear()
                await self._changed.wait()


def pool(ports: int = 4) -> PortPool:
    """Ports that were free a moment ago."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        first += first % 2
        if first + 2 * ports <= 65_535:
            return PortPool(first, first + 2 * ports - 1)


@asynccontextmanager
async def opened(
    ports: PortPool, emit: Callable[[RtpEvent], None], host: str = "127.0.0.1"
) -> AsyncIterator[RtpSocket]:
    endpoint = await RtpSocket.open(ports, host, Clock(), emit)
    try:
        yield endpoint
    finally:
        await endpoint.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_two_sockets_hear_each_other(host: str) -> None:
    ports, here, there = pool(), Heard(), Heard()
    async with opened(ports, here.emit, host) as ours, opened(ports, there.emit, host) as theirs:
        assert ours.port % 2 == theirs.port % 2 == 0
        ours.apply(replace(PLAN, remote=(host, theirs.port)))
        theirs.apply(replace(PLAN, remote=(host, ours.port)))
        ours.start()
        theirs.start()
        assert ours.received_first_at is None
        assert ours.send(LOUD)
        await there.until(
            lambda events: any(
                max(event.pcm) > 0 for event in events if isinstance(event, CallerAudio)
            )
        )
        assert ours.send_digits("7", duration_ms=100, gap_ms=50) == pytest.approx(0.16)
        await there.until(lambda events: Digit("7", 100) in events)
        # Silence comes back by itself.
        await here.until(lambda events: MediaStarted() in events)
        assert ours.received_first_at is not None
        assert ours.received_last_at is not None
        assert ours.received_last_at >= ours.received_first_at
        stats = theirs.stats()
        assert stats["received_packets"] >= 6
        assert (stats["dropped_packets"], stats["network_errors"]) == ({}, 0)
    assert not ours.send(LOUD)


async def test_rtcp_of_a_peer_is_swallowed() -> None:
    heard = Heard()
    async with opened(pool(), heard.emit) as ours:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.connect(("127.0.0.1", ours.port + 1))
            peer.setblocking(False)
            peer.send(bytes.fromhex("80c80006" + "00" * 24))
            await asyncio.sleep(0)
            # A port that nobody listens on would refuse the second one.
            peer.send(bytes.fromhex("80c80006" + "00" * 24))
        assert heard.events == []


async def test_voice_is_marked_for_the_network() -> None:
    async with opened(pool(), Heard().emit) as ours:
        assert ours._transport is not None
        udp = ours._transport.get_extra_info("socket")
        assert udp.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0xB8


async def test_port_goes_back_at_the_end_and_only_once() -> None:
    ports = PortPool(*_range(pool(1)), cooldown_s=0.0)
    first = await RtpSocket.open(ports, "127.0.0.1", Clock(), Heard().emit)
    with pytest.raises(PortsExhausted):
        await RtpSocket.open(ports, "127.0.0.1", Clock(), Heard().emit)
    first.start()
    await first.close()
    await first.close()
    await asyncio.sleep(0)
    second = await RtpSocket.open(ports, "127.0.0.1", Clock(), Heard().emit)
    assert second.port == first.port
    with pytest.raises(PortsExhausted):
        await RtpSocket.open(ports, "127.0.0.1", Clock(), Heard().emit)
    await second.close()


def _range(ports: PortPool) -> tuple[int, int]:
    first = ports.take(0.0)
    return first, first + 1


@pytest.mark.parametrize("offset", [0, 1])
async def test_port_that_another_program_has_is_passed_over(offset: int) -> None:
    ports = pool(2)
    first = ports.take(0.0)
    ports = PortPool(first, first + 3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", first + offset))
        async with opened(ports, Heard().emit) as ours:
            assert ours.port == first + 2


async def test_address_of_another_machine_is_an_error() -> None:
    ports = pool()
    with pytest.raises(OSError, match="requested address") as caught:
        await RtpSocket.open(ports, "192.0.2.1", Clock(), Heard().emit)
    assert caught.value.errno == errno.EADDRNOTAVAIL


class TakenPorts(PortPool):
    """A pool whose only port is always the same, taken one."""

    def __init__(self, port: int) -> None:
        super().__init__(2, 3)
        self.taken = 0
        self._port = port

    def take(self, _now: float) -> int:
        self.taken += 1
        return self._port


async def test_search_for_a_port_ends() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        ports = TakenPorts(other.getsockname()[1])
        with pytest.raises(OSError, match="can be bound") as caught:
            await RtpSocket.open(ports, "127.0.0.1", Clock(), Heard().emit)
    assert caught.value.errno == errno.EADDRINUSE
    assert ports.taken == MOST_BIND_ATTEMPTS


async def test_peer_that_is_not_there_is_counted_not_raised() -> None:
    heard = Heard()
    async with opened(pool(), heard.emit) as ours:
        ours.error_received(ConnectionRefusedError())
        assert ours.stats()["network_errors"] == 1


async def test_caller_may_close_from_within_an_event() -> None:
    heard = Heard()
    closing: list[asyncio.Task[None]] = []

    def emit(event: RtpEvent) -> None:
        heard.emit(event)
        if not closing:
            closing.append(asyncio.ensure_future(ours.close()))

    ours = await RtpSocket.open(pool(), "127.0.0.1", Clock(), emit)
    ours.start()
    await heard.until(lambda events: bool(events))
    await closing[0]
    assert ours._timer is not None
    assert ours._timer.cancelled()
    count = len(heard.events)
    ours._work()
    assert len(heard.events) == count


class Congested(asyncio.DatagramTransport):
    """A transport whose buffer does not drain."""

    def __init__(self, unsent_bytes: int) -> None:
        super().__init__()
        self.sent = 0
        self._unsent_bytes = unsent_bytes

    def get_write_buffer_size(self) -> int:
        return self._unsent_bytes

    def sendto(self, _data: object, _address: object = None) -> None:
        self.sent += 1


@pytest.mark.parametrize(("unsent_bytes", "sent"), [(0, 1), (MAX_UNSENT_BYTES + 1, 0)])
async def test_machine_that_cannot_send_gets_no_backlog(unsent_bytes: int, sent: int) -> None:
    async with opened(pool(), Heard().emit) as ours:
        ours.apply(replace(PLAN, remote=("127.0.0.1", 9)))
        real, ours._transport = ours._transport, Congested(unsent_bytes)
        ours.start()
        ours.send(LOUD)
        assert ours._transport.sent == sent
        assert ours.stats()["network_errors"] == 1 - sent
        ours._transport = real
