"""One TCP or TLS connection: octets in, messages out, and what it is closed for."""

from __future__ import annotations

import asyncio
from typing import Protocol

from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.flow import Flow
from bridges.wire.sip.framing import StreamFramer

MESSAGE_TIMEOUT_S = 10.0
"""For a message's rest after its first octet, and for the first one on a connection."""
READ_BYTES = 16 * 1024
"""Taken at a time; others are to have their turn, and the quota is asked after each."""
IDLE_TIMEOUT_S = 1800.0
"""Without a word either way. Answered calls are refreshed within half of that (RFC 4028), and one
whose connection is closed goes on: the next request opens another."""


class Owner(Protocol):
    """Whose connection it is."""

    def message_arrived(self, data: bytes, connection: Connection) -> None:
        """Take one message. Raises `ProtocolError` if it is none."""

    def admits(self, connection: Connection, pings: int = 0) -> float:
        """Return for how many seconds nothing more is to be read; 0: go on.

        Args:
            pings: keep-alives that came with what was read.
        """

    def connection_closed(self, connection: Connection, detail: str) -> None:
        """Take note that it is gone."""


class Connection(asyncio.BufferedProtocol):
    """A connection of either direction.

    Attributes:
        flow: its name; messages that come on it bear it.
        is_ours: whether we opened it.
    """

    def __init__(self, owner: Owner, flow: Flow, *, is_ours: bool, max_unread_bytes: int) -> None:
        self.flow = flow
        self.is_ours = is_ours
        self._owner = owner
        self._max_unread_bytes = max_unread_bytes
        self._framer = StreamFramer()
        self._buffer = bytearray(READ_BYTES)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._is_closed = False
        self._detail = "closed by the peer"
        self._used_at = self._loop.time()
        self._due_at: float | None = None if is_ours else self._used_at + MESSAGE_TIMEOUT_S
        self._timer: asyncio.TimerHandle | None = None

    def send(self, data: bytes) -> bool:
        """Send octets; return whether the connection still takes them."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._used_at = self._loop.time()
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._max_unread_bytes:
            self.abort("the peer does not read")
            return False
        return True

    def close(self, detail: str) -> None:
        """Close once what was sent is on its way."""
        self._end(detail)
        if self._transport is not None:
            self._transport.close()

    def abort(self, detail: str) -> None:
        """Close at once."""
        self._end(detail)
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=4 * self._max_unread_bytes)
        self._watch()
        self._breathe()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.take(bytes(self._buffer[:nbytes]))

    def take(self, data: bytes) -> None:
        """Take octets that came."""
        self._used_at = self._loop.time()
        try:
            messages = self._framer.receive(data)
            for message in messages:
                self._due_at = None
                self._owner.message_arrived(message, self)
                if self._is_closed:
                    return
        except ProtocolError as error:
            self.close(error.reason)
            return
        pongs = self._framer.outgoing()
        if pongs:
            self.send(b"".join(pongs))
        if self._framer.is_empty:
            self._due_at = None if messages else self._due_at
        elif self._due_at is None or messages:
            self._due_at = self._used_at + MESSAGE_TIMEOUT_S
        self._watch()
        self._breathe(len(pongs))

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._detail = type(error).__name__
        self._end(self._detail)

    def _breathe(self, pings: int = 0) -> None:
        """Read no more of a peer that has said its share for now."""
        pause_s = self._owner.admits(self, pings)
        if pause_s > 0 and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._loop.call_later(pause_s, self._resume)

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._breathe()  # its other connections may have spent what it waited for

    def _watch(self) -> None:
        """Wake when the connection will have been silent, or a message unfinished, too long."""
        idle_at = self._used_at + IDLE_TIMEOUT_S
        wake_at = idle_at if self._due_at is None else min(idle_at, self._due_at)
        if self._is_closed:
            return
        if self._timer is not None:
            if self._timer.when() <= wake_at:
                return  # it looks again by itself
            self._timer.cancel()
        self._timer = self._loop.call_at(wake_at, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self._due_at is not None and self._due_at <= now:
            self.abort("a message was not completed in time")
        elif self._used_at + IDLE_TIMEOUT_S <= now:
            self.close("idle")
        else:
            self._watch()

    def _end(self, detail: str) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._owner.connection_closed(self, detail)
