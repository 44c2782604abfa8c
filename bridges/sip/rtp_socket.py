"""A call's media on UDP: the asyncio edge of `bridges.sip.rtp_stream`.

A leg opens a socket before it says where it receives, applies the plan when there is one (again at
each re-INVITE), starts it when the call is answered, and closes it at the end::

    socket = await RtpSocket.open(ports, host, clock, emit)
    negotiation = Negotiation(LocalMedia(advertised, socket.port, call_number), ...)
    socket.apply(negotiation.plan, signalled_from="203.0.113.7")
    socket.start()
    socket.send(pcm)            # 20 ms, whenever the playback clock says so
    ...
    await socket.close()
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import structlog

from bridges.clock import Clock
from bridges.sip.port_pool import PortPool
from bridges.sip.rtp_stream import RtpEvent, RtpStream
from bridges.wire.latch import Trust
from bridges.wire.media_plan import MediaPlan

log = structlog.get_logger(__name__)

MOST_BIND_ATTEMPTS = 16
"""Ports tried before a call is given up: another program may sit on some of the range."""
TOLERANCE_S = 0.003
"""Work that is due this soon is done with the packet at hand; it spares most timers. A timer comes
as much later."""
MAX_UNSENT_BYTES = 2000
"""A few packets that the machine could not send yet; what is older nobody wants to hear."""
_SERVICE_CLASS = 0xB8
"""DSCP "expedited forwarding" (RFC 3246), as phones mark voice."""


class RtpSocket(asyncio.DatagramProtocol):
    """One call's RTP port and, above it, an RTCP port that is listened to by nobody.

    Neither blocks nor raises once open: what the network refuses is counted. See `open`.
    """

    def __init__(
        self,
        clock: Clock,
        emit: Callable[[RtpEvent], None],
        randomness: random.Random,
        release: Callable[[float], None],
        trust: Trust,
    ) -> None:
        self._clock = clock
        self._emit = emit
        self._release: Callable[[float], None] | None = release
        self._stream = RtpStream(randomness, trust)
        self._transport: asyncio.DatagramTransport | None = None
        self._transports: list[asyncio.DatagramTransport] = []
        self._timer: asyncio.TimerHandle | None = None
        self._network_errors = 0
        self.port = 0

    @classmethod
    async def open(
        cls,
        ports: PortPool,
        host: str,
        clock: Clock,
        emit: Callable[[RtpEvent], None],
        *,
        randomness: random.Random | None = None,
        trust: Trust = Trust.SIGNALLED,
    ) -> RtpSocket:
        """Bind a port of the pool on `host`; it goes back to the pool at `close`.

        Args:
            ports: where the port comes from.
            host: the address to bind, IPv4 or IPv6.
            clock: the times.
            emit: told what arrives: `CallerAudio` in steps of about 20 ms from `start` on, whether
                packets come or not, `Digit` once per press, `MediaStarted` with the first packet
                (also before `start`). Called from the event loop; must not block.
            randomness: for SSRC, sequence numbers and timestamps; unpredictable by default.
            trust: from which addresses media are taken.

        Raises:
            PortsExhausted: no port is free.
            OSError: `host` is none of this machine's addresses, or no port can be bound.
        """
        for _ in range(MOST_BIND_ATTEMPTS):
            port = ports.take(clock.now())
            release = partial(ports.give_back, port)
            endpoint = cls(clock, emit, randomness or random.SystemRandom(), release, trust)
            try:
                await endpoint._bind(host, port)
            except OSError as error:
                await endpoint.close()
                if error.errno != errno.EADDRINUSE:
                    raise
                log.warning("RTP port is taken by another program", port=port)
            else:
                return endpoint
        raise OSError(errno.EADDRINUSE, f"none of {MOST_BIND_ATTEMPTS} RTP ports can be bound")

    @property
    def received_first_at(self) -> float | None:
        """When the first packet came, by the clock's `now`; None before it."""
        return self._stream.received_first_at

    @property
    def received_last_at(self) -> float | None:
        """When the last packet came, by the clock's `now`; None before the first."""
        return self._stream.received_last_at

    def apply(self, plan: MediaPlan, *, signalled_from: str = "") -> None:
        """Send and receive as `plan` says from now on; nothing is sent or taken before the first.

        Args:
            signalled_from: the address signalling comes from. A phone behind NAT tells an address
                in its plan that nothing can come from; media are taken from this one as well.
        """
        self._stream.apply(plan, frozenset({signalled_from} - {""}))
        self._work()

    def start(self) -> None:
        """Let `CallerAudio` flow and silence be sent while nothing else is: the call is answered.
        Early media before it are latched on to and counted, but not heard."""
        self._stream.start(self._clock.now())
        self._work()

    def send(self, pcm: bytes) -> bool:
        """Send 20 ms of PCM16 at 8 kHz (320 bytes) now.

        Returns:
            Whether they left. On hold, before `apply` and `start`, while digits are being sent and
            after `close` they do not.
        """
        if self._transport is None:
            return False
        sent = self._stream.send(pcm, self._clock.now())
        self._flush(self._transport)
        # A frame that waits for its place is due sooner than the silence it replaces.
        self._arm()
        return sent

    def send_digits(self, digits: str, *, duration_ms: int = 160, gap_ms: int = 80) -> float:
        """Send digits (0-9 * # A-D, `,` for a pause of half a second) one after another.

        Returns:
            How many seconds they take; 0.0 where the peer takes none.

        Raises:
            ValueError: another character, too many of them, or a duration out of 100 to 250 ms.
        """
        seconds = self._stream.send_digits(digits, duration_ms=duration_ms, gap_ms=gap_ms)
        self._work()
        return seconds

    def stats(self) -> dict[str, Any]:
        """Return figures of both directions; see `RtpStream.stats`."""
        return self._stream.stats() | {"network_errors": self._network_errors}

    async def close(self) -> None:
        """Let go of the ports. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        transports, self._transports = self._transports, []
        for transport in transports:
            transport.close()
        self._transport = None
        if self._release is not None:
            self._release(self._clock.now())
            self._release = None

    def datagram_received(self, data: bytes, source: tuple[Any, ...]) -> None:
        """Take a datagram; asyncio calls this."""
        for event in self._stream.receive(data, source[:2], self._clock.now()):
            self._emit(event)
        self._work()

    def error_received(self, _error: Exception) -> None:
        """Count what the network says of a datagram sent before; asyncio calls this."""
        self._network_errors += 1

    async def _bind(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, port))
        self._transports.append(transport)
        rtcp, _ = await loop.create_datagram_endpoint(_Silent, (host, port + 1))
        self._transports.append(rtcp)
        # A network that ignores the mark loses nothing by it.
        with contextlib.suppress(OSError):
            _mark_as_voice(transport)
        self._transport, self.port = transport, port

    def _work(self) -> None:
        """Do what is due, and come back when there is more."""
        if self._transport is None:
            return
        for event in self._stream.tick(self._clock.now() + TOLERANCE_S):
            self._emit(event)
        self._flush(self._transport)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._stream.deadline()
        if deadline is not None:
            delay_s = max(0.0, deadline + TOLERANCE_S - self._clock.now())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._work)

    def _flush(self, transport: asyncio.DatagramTransport) -> None:
        for data, target in self._stream.outgoing():
            # Datagram transports have it too; only their declared type does not say so.
            unsent_bytes = cast("asyncio.WriteTransport", transport).get_write_buffer_size()
            if unsent_bytes > MAX_UNSENT_BYTES:
                self._network_errors += 1
            else:
                transport.sendto(data, target)


class _Silent(asyncio.DatagramProtocol):
    """Takes RTCP, so that a peer that sends it is not told that nobody is there."""


def _mark_as_voice(transport: asyncio.DatagramTransport) -> None:
    udp = transport.get_extra_info("socket")
    if udp.family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _SERVICE_CLASS)
    else:
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _SERVICE_CLASS)
