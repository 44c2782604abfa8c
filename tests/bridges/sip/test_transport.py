"""Sockets on loopback: what one peer does to itself, and not to others."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridges.sip.connection import READ_BYTES
from bridges.sip.resolver import Lookup, Resolver
from bridges.sip.settings import SipSettings
from bridges.sip.tls import client_context, server_context
from bridges.sip.transport import DEFAULT_LIMITS, Limits, Transports, Unwanted
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.flow import Destination, Flow, Send, Target, Transport
from tests.fakes.ports import free_port

CERTIFICATE = Path(__file__).parents[2] / "vectors" / "tls" / "localhost.pem"
MESSAGE = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n"
LOOPBACK = "127.0.0.1"


@dataclass
class Ear:
    """Remembers what it hears; `BAD` is no SIP to it, `SHOO` is unwanted."""

    messages: list[tuple[bytes, Flow]] = field(default_factory=list)
    failures: list[tuple[Target, str]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def message_arrived(self, data: bytes, flow: Flow) -> None:
        if data.startswith(b"BAD"):
            raise ProtocolError("bad")
        if data.startswith(b"SHOO"):
            raise Unwanted
        self.messages.append((data, flow))
        self._notify()

    def transport_failed(self, target: Target, detail: str) -> None:
        self.failures.append((target, detail))
        self._notify()

    def _notify(self) -> None:
        async def notify() -> None:
            async with self.changed:
                self.changed.notify_all()

        asyncio.ensure_future(notify())  # noqa: RUF006

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that what is heard may bring about."""
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(condition)

    async def heard(self) -> tuple[bytes, Flow]:
        """Wait for the first message."""
        await self.until(lambda: bool(self.messages))
        return self.messages[0]

    async def failed(self) -> tuple[Target, str]:
        """Wait for the first failure."""
        await self.until(lambda: bool(self.failures))
        return self.failures[0]


def look_up(names: list[str]) -> Lookup:
    """Return a look-up that knows `localhost`, and some addresses of `pbx`."""

    async def ask(host: str, family: socket.AddressFamily) -> list[str]:
        if host in ("localhost", "pbx"):
            return [LOOPBACK] if host == "localhost" else names
        raise OSError("no such name")

    return ask


@asynccontextmanager
async def opened(
    limits: Limits = DEFAULT_LIMITS, names: Sequence[str] = (), **changes: object
) -> AsyncIterator[tuple[Transports, Ear]]:
    """Run transports with a TLS listener, whose certificate they believe themselves."""
    values = {"sip_tls_cert": CERTIFICATE, "sip_tls_ca": CERTIFICATE} | changes
    settings = SipSettings(**values)  # type: ignore[arg-type]
    ear = Ear()
    resolver = Resolver(socket.AF_INET, time.monotonic, look_up(list(names)))
    transports = Transports(
        LOOPBACK,
        ear,
        resolver,
        time.monotonic,
        client_context(settings),
        server_context(settings),
        limits,
    )
    transports.open(free_port(), 0)
    try:
        yield transports, ear
    finally:
        await transports.close()


async def connected(transports: Transports, address: str = LOOPBACK) -> asyncio.StreamWriter:
    """Connect by TCP from an address of this machine; return the writer."""
    port = transports.ports[Transport.TCP]
    _, writer = await asyncio.open_connection(LOOPBACK, port, local_addr=(address, 0))
    return writer


async def is_closed(writer: asyncio.StreamWriter) -> bool:
    """Wait for the other side to close; False if it sends something instead."""
    reader = writer.transport.get_protocol()._stream_reader  # type: ignore[attr-defined]
    try:
        async with asyncio.timeout(5):
            return bool(await reader.read(1) == b"")
    except ConnectionError:
        return True
    finally:
        writer.close()


async def test_datagram_is_heard_and_answered() -> None:
    async with opened() as (transports, ear):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind((LOOPBACK, 0))
            phone.setblocking(False)
            phone.sendto(MESSAGE, (LOOPBACK, transports.ports[Transport.UDP]))
            data, flow = await ear.heard()
            assert data == MESSAGE
            assert flow == Flow(Transport.UDP, LOOPBACK, phone.getsockname()[1])
            transports.send(Send(b"hello", flow))
            loop = asyncio.get_running_loop()
            assert await asyncio.wait_for(loop.sock_recv(phone, 100), 5) == b"hello"


async def test_stream_is_cut_into_messages_and_answered() -> None:
    async with opened() as (transports, ear):
        writer = await connected(transports)
        writer.write(MESSAGE[:10])
        writer.write(MESSAGE[10:] + MESSAGE)
        await ear.until(lambda: len(ear.messages) == 2)
        flow = ear.messages[0][1]
        assert ear.messages[1] == (MESSAGE, flow)
        assert flow.connection > 0
        transports.send(Send(b"hello", flow))
        reader = writer.transport.get_protocol()._stream_reader  # type: ignore[attr-defined]
        assert await asyncio.wait_for(reader.read(100), 5) == b"hello"
        writer.close()
        assert await ear.failed() == (flow, "closed by the peer")
        transports.send(Send(b"too late", flow))
        await ear.until(lambda: (flow, "the connection is closed") in ear.failures)


@pytest.mark.parametrize(
    "bad",
    [
        b"BAD\r\nContent-Length: 0\r\n\r\n",
        b"SHOO\r\nContent-Length: 0\r\n\r\n",
        b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: x\r\n\r\n",
        b"A" * 20_000,
    ],
)
async def test_bad_message_ends_its_own_connection_alone(bad: bytes) -> None:
    async with opened() as (transports, ear):
        good, wicked = await connected(transports), await connected(transports)
        wicked.write(bad)
        assert await is_closed(wicked)
        good.write(MESSAGE)
        assert (await ear.heard())[0] == MESSAGE
        good.close()


async def test_peer_that_floods_is_not_heard_while_another_is() -> None:
    async with opened(Limits(messages_per_s=0.001, burst_messages=20)) as (transports, ear):
        there = (LOOPBACK, transports.ports[Transport.UDP])
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wicked,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as good,
        ):
            wicked.bind((LOOPBACK, 0))
            good.bind(("127.0.0.2", 0))
            for _ in range(500):
                wicked.sendto(MESSAGE, there)
            good.sendto(MESSAGE, there)
            await ear.until(lambda: any(flow.host == "127.0.0.2" for _, flow in ear.messages))
        assert sum(flow.host == LOOPBACK for _, flow in ear.messages) == 20
        assert transports.dropped["quota"] == 480


@pytest.mark.parametrize(
    ("flood", "most"), [(MESSAGE, READ_BYTES // len(MESSAGE)), (b"\r\n\r\n", 0)]
)
async def test_stream_that_floods_is_read_no_further_than_once(flood: bytes, most: int) -> None:
    limits = Limits(messages_per_s=0.001, burst_messages=40)
    async with opened(limits) as (transports, ear):
        wicked = await connected(transports)
        wicked.write(flood * (10 * READ_BYTES // len(flood)) + MESSAGE)
        good = await connected(transports, "127.0.0.2")
        good.write(MESSAGE)
        await ear.until(lambda: any(flow.host == "127.0.0.2" for _, flow in ear.messages))
        again = await connected(transports, "127.0.0.2")
        again.write(MESSAGE)
        await ear.until(lambda: sum(flow.host == "127.0.0.2" for _, flow in ear.messages) == 2)
        assert sum(flow.host == LOOPBACK for _, flow in ear.messages) <= most
        for writer in (wicked, good, again):
            writer.transport.abort()


async def test_address_has_so_many_connections_and_another_still_gets_one() -> None:
    async with opened(Limits(connections_of_one=5)) as (transports, ear):
        kept = [await connected(transports) for _ in range(5)]
        assert await is_closed(await connected(transports))
        assert transports.dropped["connections_of_one"] == 1
        other = await connected(transports, "127.0.0.2")
        other.write(MESSAGE)
        assert (await ear.heard())[1].host == "127.0.0.2"
        # One that goes makes room.
        kept.pop().close()
        await ear.failed()
        again = await connected(transports)
        again.write(MESSAGE)
        await ear.until(lambda: len(ear.messages) == 2)
        for writer in (*kept, other, again):
            writer.close()


async def test_connections_have_a_limit_in_all() -> None:
    async with opened(Limits(connections=2)) as (transports, _):
        kept = [await connected(transports, f"127.0.0.{each}") for each in (2, 3)]
        assert await is_closed(await connected(transports, "127.0.0.4"))
        assert transports.dropped["connections"] == 1
        for writer in kept:
            writer.close()


async def test_peer_that_does_not_read_is_cut_off() -> None:
    async with opened(Limits(unread_bytes=10_000)) as (transports, ear):
        writer = await connected(transports)
        writer.write(MESSAGE)
        _, flow = await ear.heard()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(1000):
            transports.send(Send(b"x" * 20_000, flow))
            if transports.connections == 0:
                break
        assert (await ear.failed()) == (flow, "the peer does not read")
        writer.transport.abort()


async def test_destination_is_reached_by_one_connection() -> None:
    async with opened() as (server, heard), opened() as (client, _):
        to = Destination(Transport.TCP, "localhost", server.ports[Transport.TCP])
        client.send(Send(MESSAGE, to))
        client.send(Send(MESSAGE, to))
        await heard.until(lambda: len(heard.messages) == 2)
        client.send(Send(MESSAGE, to))
        await heard.until(lambda: len(heard.messages) == 3)
        assert len({flow for _, flow in heard.messages}) == 1


async def test_tls_is_spoken_both_ways() -> None:
    async with opened() as (server, heard), opened() as (client, answers):
        to = Destination(Transport.TLS, "localhost", server.ports[Transport.TLS])
        client.send(Send(MESSAGE, to))
        data, flow = await heard.heard()
        assert (data, flow.transport) == (MESSAGE, Transport.TLS)
        server.send(Send(MESSAGE, flow))
        assert (await answers.heard())[0] == MESSAGE


async def test_certificate_of_nobody_we_know_is_not_accepted_unless_told_so() -> None:
    async with opened() as (server, heard), opened(sip_tls_ca=None) as (client, ear):
        to = Destination(Transport.TLS, "localhost", server.ports[Transport.TLS])
        client.send(Send(MESSAGE, to))
        await ear.until(lambda: any(target == to for target, _ in ear.failures))
        assert "certificate" in dict(ear.failures)[to]
        assert heard.messages == []
        async with opened(sip_tls_ca=None, sip_tls_verify=False) as (trusting, _):
            trusting.send(Send(MESSAGE, to))
            assert (await heard.heard())[0] == MESSAGE


async def test_certificate_must_bear_the_name() -> None:
    async with opened() as (server, _), opened() as (client, ear):
        port = server.ports[Transport.TLS]
        to = Destination(Transport.TLS, "localhost", port, server_name="carrier.example")
        client.send(Send(MESSAGE, to))
        await ear.until(lambda: any(target == to for target, _ in ear.failures))
        assert "certificate" in dict(ear.failures)[to]


async def test_plain_words_on_the_tls_port_are_hung_up_on() -> None:
    async with opened() as (transports, _):
        port = transports.ports[Transport.TLS]
        _, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(MESSAGE * 10)
        reader = writer.transport.get_protocol()._stream_reader  # type: ignore[attr-defined]
        async with asyncio.timeout(5):
            while await reader.read(1000):
                pass
        writer.close()
        assert transports.connections == 0
        assert transports.dropped["handshake"] == 1


@pytest.mark.parametrize("kind", list(Transport))
async def test_nobody_at_that_name_is_told(kind: Transport) -> None:
    async with opened() as (transports, ear):
        to = Destination(kind, "nowhere.example", 5060)
        transports.send(Send(MESSAGE, to))
        assert await ear.failed() == (to, "the name has no address")


@pytest.mark.parametrize("kind", [Transport.UDP, Transport.TCP])
async def test_nobody_at_that_port_is_told(kind: Transport) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        to = Destination(kind, "localhost", taken.getsockname()[1])
        async with opened() as (transports, ear):
            transports.send(Send(MESSAGE, to))
            await ear.until(lambda: any(target == to for target, _ in ear.failures))
            # What goes to others meanwhile still goes.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
                phone.bind((LOOPBACK, 0))
                phone.setblocking(False)
                transports.send(Send(MESSAGE, to))
                there = Flow(Transport.UDP, LOOPBACK, phone.getsockname()[1])
                transports.send(Send(b"hello", there))
                loop = asyncio.get_running_loop()
                assert await asyncio.wait_for(loop.sock_recv(phone, 100), 5) == b"hello"


async def test_datagram_that_is_too_large_is_told() -> None:
    async with opened() as (transports, ear):
        flow = Flow(Transport.UDP, LOOPBACK, 9)
        transports.send(Send(b"x" * 70_000, flow))
        assert await ear.failed() == (flow, "cannot send: EMSGSIZE")


async def test_port_in_use_is_an_error() -> None:
    async with opened() as (transports, _):
        with pytest.raises(OSError, match="in use"):
            Transports(
                LOOPBACK,
                Ear(),
                Resolver(socket.AF_INET, time.monotonic),
                time.monotonic,
                ssl.create_default_context(),
            ).open(transports.ports[Transport.TCP], 0)


async def test_next_address_of_a_name_is_tried() -> None:
    async with opened() as (server, heard), opened(names=["127.0.0.9", LOOPBACK]) as (client, _):
        client.send(Send(MESSAGE, Destination(Transport.TCP, "pbx", server.ports[Transport.TCP])))
        assert (await heard.heard())[0] == MESSAGE
