"""What one stream connection is closed for, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bridges.sip.connection import IDLE_TIMEOUT_S, MESSAGE_TIMEOUT_S, Connection
from bridges.wire.sip.flow import Flow, Transport
from tests.fakes.virtual_time import virtual_time

MESSAGE = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n"
FLOW = Flow(Transport.TCP, "192.0.2.1", 5060, 1)


class Pipe(asyncio.Transport):
    """A transport that leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.writes = 0
        self.reads = True
        self.closed = ""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)
        self.writes += 1

    def is_closing(self) -> bool:
        return bool(self.closed)

    def close(self) -> None:
        self.closed = self.closed or "closed"

    def abort(self) -> None:
        self.closed = "aborted"

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


@dataclass
class Owner:
    """Remembers what it is told."""

    pause_s: float = 0.0
    pings: int = 0
    messages: list[bytes] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def message_arrived(self, data: bytes, connection: Connection) -> None:
        self.messages.append(data)

    def admits(self, connection: Connection, pings: int = 0) -> float:
        self.pings += pings
        return self.pause_s

    def connection_closed(self, connection: Connection, detail: str) -> None:
        self.details.append(detail)


def opened(*, is_ours: bool = False, pause_s: float = 0.0) -> tuple[Connection, Pipe, Owner]:
    owner, pipe = Owner(pause_s), Pipe()
    connection = Connection(owner, FLOW, is_ours=is_ours, max_unread_bytes=1000)
    connection.connection_made(pipe)
    return connection, pipe, owner


@virtual_time
async def test_peer_that_says_nothing_is_not_waited_for() -> None:
    _, pipe, owner = opened()
    await asyncio.sleep(MESSAGE_TIMEOUT_S - 0.1)
    assert owner.details == []
    await asyncio.sleep(0.2)
    assert owner.details == ["a message was not completed in time"]
    assert pipe.closed == "aborted"


@virtual_time
async def test_message_that_drips_is_not_waited_for() -> None:
    connection, pipe, _ = opened()
    connection.take(MESSAGE)
    for _ in range(20):
        await asyncio.sleep(1)
        if pipe.closed:
            break
        connection.take(b"X")
    assert pipe.closed == "aborted"


@virtual_time
async def test_connection_in_use_stays_and_an_idle_one_goes() -> None:
    connection, pipe, owner = opened()
    for _ in range(5):
        connection.take(MESSAGE)
        await asyncio.sleep(IDLE_TIMEOUT_S - 1)
        assert connection.send(MESSAGE)
        await asyncio.sleep(IDLE_TIMEOUT_S - 1)
    assert not pipe.closed
    await asyncio.sleep(2)
    assert (pipe.closed, owner.details) == ("closed", ["idle"])
    assert not connection.send(MESSAGE)


@virtual_time
async def test_connection_of_ours_may_wait_for_its_first_message() -> None:
    _, pipe, _ = opened(is_ours=True)
    await asyncio.sleep(10 * MESSAGE_TIMEOUT_S)
    assert not pipe.closed


@virtual_time
async def test_ping_is_answered() -> None:
    connection, pipe, owner = opened()
    connection.take(b"\r\n\r\n")
    assert (pipe.written, owner.messages) == (b"\r\n", [])


@virtual_time
async def test_peer_that_has_said_its_share_is_read_later() -> None:
    connection, pipe, owner = opened()
    owner.pause_s = 0.5
    connection.take(MESSAGE)
    assert not pipe.reads
    await asyncio.sleep(0.6)
    assert not pipe.reads, "another connection of the peer's has spent its share"
    owner.pause_s = 0.0
    await asyncio.sleep(0.6)
    assert pipe.reads


@virtual_time
async def test_peer_that_owes_is_not_read_from_the_start() -> None:
    _, pipe, _ = opened(pause_s=0.5)
    assert not pipe.reads


@virtual_time
async def test_pings_are_answered_at_once_and_counted() -> None:
    connection, pipe, owner = opened()
    connection.take(b"\r\n\r\n" * 1000)
    assert pipe.writes == 1
    assert pipe.written == b"\r\n" * 1000
    assert owner.pings == 1000


@virtual_time
async def test_end_is_told_once() -> None:
    connection, _, owner = opened()
    connection.connection_lost(ConnectionResetError())
    connection.abort("again")
    assert owner.details == ["ConnectionResetError"]
