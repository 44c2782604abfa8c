"""A carrier's WebSocket as a leg, whatever is spoken on it: two loops, deadlines, a slow peer.

One loop reads, the other one writes whatever is due. All that is said to the carrier goes through
the writer, so that nothing overtakes anything.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from bridges.clock import Clock
from bridges.ending import Ending, broken_protocol
from bridges.leg import Emit, LegEvent
from bridges.line import Line
from bridges.race import race, within
from bridges.wire.close import CloseCode, ProtocolError, close_reason
from contracts.outcome import Reason

MAX_UNSENT_BYTES = 8 * 1024
"""A fifth of a second of bot audio on its way to the socket, in messages of 20 ms. A peer that
reads more slowly hears gaps instead of the past."""
STALL_TIMEOUT_S = 5.0

_REFUSED_BY_LIBRARY = {
    1002: CloseCode.MALFORMED,
    1007: CloseCode.MALFORMED,
    1009: CloseCode.TOO_BIG,
}
"""What the WebSocket library closes with by itself (framing, text not UTF-8, size) to our codes."""

StreamEvent = TypeVar("StreamEvent")


class Stream(Protocol[StreamEvent]):
    """A protocol's end that is ours, as `bridges.wire` has them."""

    ignored_events: int
    late_messages: int

    def receive(self, data: bytes | str, now: float) -> list[StreamEvent]: ...

    def deadline(self) -> float | None: ...

    def expire(self, now: float) -> object: ...

    def outgoing(self) -> list[str]: ...


class SocketLeg(ABC, Generic[StreamEvent]):
    """One call on one socket. See `bridges.leg.Leg`.

    Args:
        connection: the socket, open.
        stream: the protocol, fresh.
        clock: the times.
        observe_lateness: told of each frame how late it leaves, for the whole process.
    """

    def __init__(
        self,
        connection: ServerConnection,
        stream: Stream[StreamEvent],
        clock: Clock,
        observe_lateness: Callable[[float], None],
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._clock = clock
        self._emit: Emit = _into_the_void
        self._line = Line(
            clock,
            lambda event: self._emit(event),
            self._play,
            self._stop,
            observe_lateness,
            self._mark,
        )
        self._answered = asyncio.Event()
        self._told: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._max_unsent_bytes = MAX_UNSENT_BYTES
        self._stalled_since: float | None = None
        self.dropped_frames = 0

    async def run(self, emit: Emit) -> Ending:
        """Carry the stream until the carrier, the bot or the protocol ends it."""
        self._emit = emit
        return await race(self._read(), self._write(), self._watch(), self._told)

    @abstractmethod
    def accept(self, event: LegEvent) -> None:
        """Take the agent's speech and commands."""

    async def hang_up(self, ending: Ending) -> None:
        """Say goodbye in the carrier's words, if it knows any, and close the socket."""
        self._say_goodbye(ending)
        try:
            await self._flush()
        except ConnectionClosed:
            return
        await self._connection.close(ending.close_code, close_reason(ending.detail))

    async def close(self) -> None:
        """Let go of the socket."""
        self._connection.transport.abort()
        await self._connection.wait_closed()

    def stats(self) -> dict[str, Any]:
        """Return what the stream looked like from here."""
        return {
            **self._line.stats(),
            "dropped_frames": self.dropped_frames,
            "ignored_events": self._stream.ignored_events,
            "late_messages": self._stream.late_messages,
        }

    @property
    @abstractmethod
    def _is_live(self) -> bool:
        """Whether the bot may be heard now."""

    @property
    def _is_handed_over(self) -> bool:
        """Whether a call that ends now ends as handed over."""
        return False

    @property
    def _is_jammed(self) -> bool:
        """Whether the peer reads more slowly than it is spoken to."""
        return self._connection.transport.get_write_buffer_size() > self._max_unsent_bytes

    @abstractmethod
    def _tell(self, event: StreamEvent) -> bool:
        """Pass on what the carrier said; return whether it was its last word."""

    @abstractmethod
    def _send_audio(self, pcm: bytes) -> None:
        """Say a frame in the carrier's words."""

    @abstractmethod
    def _send_stop(self) -> None:
        """Have the carrier drop what it has not begun to play."""

    def _send_mark(self, mark: int) -> None:
        """Have the carrier say when it has played all it was sent."""

    def _say_goodbye(self, ending: Ending) -> None:
        """Say the last words of a call."""

    def _ticked(self) -> None:
        """Do what else is due."""

    async def _read(self) -> Ending:
        try:
            while True:
                message = await self._connection.recv()
                for event in self._stream.receive(message, self._clock.now()):
                    if self._tell(event):
                        return await self._told
        except ProtocolError as error:
            self._line.flush()
            return broken_protocol(error, self._clock.at())
        except ConnectionClosed as closed:
            self._line.flush()
            return self._disconnected(closed)

    async def _write(self) -> Ending:
        while True:
            now = self._clock.now()
            self._line.tick()
            self._ticked()
            try:
                await self._flush()
            except ConnectionClosed as closed:
                return self._disconnected(closed)
            if not self._is_jammed:
                # Also where there is nothing to say at the moment.
                self._stalled_since = None
            if self._stalled_since is not None and now - self._stalled_since > STALL_TIMEOUT_S:
                return Ending(
                    Reason.PEER_STALLED, self._clock.at(), f"read nothing for {STALL_TIMEOUT_S} s"
                )
            await self._line.sleep()

    async def _watch(self) -> Ending:
        """Let the protocol's deadlines pass."""
        # An answer moves the deadline, perhaps forward; later it only ever moves back.
        await within(self._left_s(), self._answered.wait())
        while self._stream.deadline() is not None:
            try:
                self._stream.expire(self._clock.now())
            except ProtocolError as error:
                return broken_protocol(error, self._clock.at())
            await asyncio.sleep(self._left_s())
        # Only a transfer or the end leaves a stream without a deadline, and neither goes back.
        return await self._told

    def _left_s(self) -> float:
        deadline = self._stream.deadline()
        return 0.0 if deadline is None else max(0.0, deadline - self._clock.now())

    def _stop(self) -> None:
        if self._is_live:
            self._send_stop()
            self._line.wake()

    def _mark(self, mark: int) -> None:
        if self._is_live:
            self._send_mark(mark)

    def _play(self, pcm: bytes) -> bool:
        if not self._is_live:
            return False
        if self._is_jammed:
            self.dropped_frames += 1
            if self._stalled_since is None:
                self._stalled_since = self._clock.now()
            return False
        self._stalled_since = None
        self._send_audio(pcm)
        return True

    async def _flush(self) -> None:
        for message in self._stream.outgoing():
            await self._connection.send(message)

    def _end(self, reason: Reason, detail: str) -> None:
        if not self._told.done():
            reason = Reason.TRANSFERRED if self._is_handed_over else reason
            self._told.set_result(Ending(reason, self._clock.at(), detail))

    def _disconnected(self, closed: ConnectionClosed) -> Ending:
        sent = closed.sent
        if sent is not None and not closed.rcvd_then_sent and sent.code in _REFUSED_BY_LIBRARY:
            code = _REFUSED_BY_LIBRARY[sent.code]
            return Ending(Reason.PROTOCOL_BROKEN, self._clock.at(), sent.reason, code)
        reason = Reason.TRANSFERRED if self._is_handed_over else Reason.CALLER_DISCONNECTED
        received = closed.rcvd.code if closed.rcvd else 1006
        return Ending(reason, self._clock.at(), f"closed by the peer with {received}")


def _into_the_void(_event: LegEvent) -> None:
    """Where events go before `run`: nothing happens on a leg that does not run."""
