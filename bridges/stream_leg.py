"""A dialler's WebSocket as a leg: messages to events, the playback clock to messages.

Two loops carry a call: one reads, the other one writes whatever is due. All that is said to the
dialler goes through the writer, so that nothing overtakes anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from bridges.clock import Clock
from bridges.ending import Ending, broken_protocol
from bridges.leg import AgentReplaced, Emit, LegEvent, Offered, Planned
from bridges.line import Line
from bridges.race import race, within
from bridges.wire.close import CloseCode, ProtocolError, close_reason
from bridges.wire.dialler import DiallerServer, State
from bridges.wire.dialler_event import (
    Answered,
    Connected,
    DiallerEvent,
    HungUp,
    MediaReceived,
    Started,
)
from bridges.wire.dialler_message import CHUNK_MS
from contracts.command import HangUp, Transfer
from contracts.media import Clear, Pause, Resume, Speech, SpeechEnd
from contracts.outcome import Reason
from contracts.report import LegAnswered, LegStarted, TransferFailed, TransferSent

log = structlog.get_logger(__name__)

MAX_UNSENT_BYTES = 8 * 1024
"""A fifth of a second of bot audio on its way to the socket. A peer that reads more slowly hears
gaps instead of the past."""
STALL_TIMEOUT_S = 5.0
TRANSFER_TIMEOUT_S = 10.0
"""How long a dialler may take to hang up on us once it was told to transfer."""

_REFUSED_BY_LIBRARY = {
    1002: CloseCode.MALFORMED,
    1007: CloseCode.MALFORMED,
    1009: CloseCode.TOO_BIG,
}
"""What the WebSocket library closes with by itself (framing, text not UTF-8, size) to our codes."""


class StreamLeg:
    """One dialler's call. See `bridges.leg.Leg`.

    Args:
        connection: the socket, open.
        server: the protocol, fresh.
        clock: the times.
        observe_lateness: told of each frame how late it leaves, for the whole process.
    """

    def __init__(
        self,
        connection: ServerConnection,
        server: DiallerServer,
        clock: Clock,
        observe_lateness: Callable[[float], None],
    ) -> None:
        self._connection = connection
        self._server = server
        self._clock = clock
        self._emit: Emit = _into_the_void
        self._line = Line(
            clock, lambda event: self._emit(event), self._play, self._stop, observe_lateness
        )
        self._answered = asyncio.Event()
        self._told: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._transfer_timer: asyncio.TimerHandle | None = None
        self._stalled_since: float | None = None
        self.dropped_frames = 0

    async def run(self, emit: Emit) -> Ending:
        """Carry the stream until the dialler, the bot or the protocol ends it."""
        self._emit = emit
        return await race(self._read(), self._write(), self._watch(), self._told)

    def accept(self, event: LegEvent) -> None:
        """Take the agent's speech and commands."""
        match event:
            case Speech() | SpeechEnd() | Clear() | Pause() | Resume():
                self._line.accept(event)
            case Planned():
                # Twenty milliseconds leave on time, one by one. A longer message must be complete
                # before it leaves, and the next one be there when it is over.
                lead_ms = event.message_ms if event.message_ms > CHUNK_MS else 0
                self._line.resize(event.message_ms, lead_ms)
            case AgentReplaced():
                self._line.reset()
            case Transfer():
                self._transfer(event)
            case HangUp():
                self._end(Reason.BOT_ENDED, event.message)

    async def hang_up(self, ending: Ending) -> None:
        """Say goodbye in the dialler's words and close the socket."""
        if self._server.state is State.ANSWERED:
            self._server.hang_up(ending.detail or "Call ended")
        try:
            await self._flush()
        except ConnectionClosed:
            return
        await self._connection.close(ending.close_code, close_reason(ending.detail))

    async def close(self) -> None:
        """Let go of the socket."""
        if self._transfer_timer is not None:
            self._transfer_timer.cancel()
        self._connection.transport.abort()
        await self._connection.wait_closed()

    def stats(self) -> dict[str, Any]:
        """Return what the stream looked like from here."""
        return {
            **self._line.stats(),
            "dropped_frames": self.dropped_frames,
            "ignored_events": self._server.ignored_events,
            "ignored_fields": self._server.ignored_fields,
            "late_messages": self._server.late_messages,
        }

    async def _read(self) -> Ending:
        try:
            while True:
                message = await self._connection.recv()
                for event in self._server.receive(message, self._clock.now()):
                    if self._tell(event):
                        return await self._told
        except ProtocolError as error:
            self._line.flush()
            return broken_protocol(error, self._clock.at())
        except ConnectionClosed as closed:
            self._line.flush()
            return self._disconnected(closed)

    def _tell(self, event: DiallerEvent) -> bool:
        """Pass on what the dialler said; return whether it was its last word."""
        at = self._clock.at()
        match event:
            case MediaReceived():
                self._line.hear(event.pcm)
            case Connected():
                self._emit(
                    Offered(
                        event.caller_id,
                        event.did,
                        event.direction,
                        event.stream_id,
                        event.fields,
                    )
                )
            case Started():
                self._emit(LegStarted(at=at, stream_id=event.stream_id))
            case Answered():
                self._line.start()
                self._emit(LegAnswered(at=at))
                self._answered.set()
            case HungUp():
                self._line.flush()
                self._end(Reason.CALLER_HUNG_UP, event.disconnected_by)
                return True
        return False

    async def _write(self) -> Ending:
        while True:
            now = self._clock.now()
            self._line.tick()
            try:
                await self._flush()
            except ConnectionClosed as closed:
                return self._disconnected(closed)
            if self._stalled_since is not None and now - self._stalled_since > STALL_TIMEOUT_S:
                return Ending(
                    Reason.PEER_STALLED, self._clock.at(), f"read nothing for {STALL_TIMEOUT_S} s"
                )
            await self._line.sleep()

    async def _watch(self) -> Ending:
        """Let the protocol's deadlines pass."""
        # An answer moves the deadline, perhaps forward; later it only ever moves back.
        await within(self._left_s(), self._answered.wait())
        while self._server.deadline() is not None:
            try:
                self._server.expire(self._clock.now())
            except ProtocolError as error:
                return broken_protocol(error, self._clock.at())
            await asyncio.sleep(self._left_s())
        # Only a transfer or the end leaves a stream without a deadline, and neither goes back.
        return await self._told

    def _left_s(self) -> float:
        deadline = self._server.deadline()
        return 0.0 if deadline is None else max(0.0, deadline - self._clock.now())

    def _stop(self) -> None:
        if self._server.state is State.ANSWERED:
            self._server.stop_media()
            self._line.wake()

    def _play(self, pcm: bytes) -> bool:
        if self._server.state is not State.ANSWERED:
            return False
        if self._connection.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.dropped_frames += 1
            if self._stalled_since is None:
                self._stalled_since = self._clock.now()
            return False
        self._stalled_since = None
        self._server.send_media(pcm, self._clock.at())
        return True

    async def _flush(self) -> None:
        for message in self._server.outgoing():
            await self._connection.send(message)

    def _transfer(self, command: Transfer) -> None:
        if self._server.state is not State.ANSWERED:
            failed = f"the stream waits for {self._server.state.value}"
            self._emit(TransferFailed(at=self._clock.at(), failed_reason=failed))
            return
        self._server.transfer(command.to, target=command.target, reason=command.reason)
        self._line.wake()
        self._emit(TransferSent(at=self._clock.at()))
        self._transfer_timer = asyncio.get_running_loop().call_later(
            TRANSFER_TIMEOUT_S, self._end, Reason.TRANSFERRED, "Call transferred"
        )

    def _end(self, reason: Reason, detail: str) -> None:
        if not self._told.done():
            reason = Reason.TRANSFERRED if self._transfer_timer else reason
            self._told.set_result(Ending(reason, self._clock.at(), detail))

    def _disconnected(self, closed: ConnectionClosed) -> Ending:
        sent = closed.sent
        if sent is not None and not closed.rcvd_then_sent and sent.code in _REFUSED_BY_LIBRARY:
            code = _REFUSED_BY_LIBRARY[sent.code]
            return Ending(Reason.PROTOCOL_BROKEN, self._clock.at(), sent.reason, code)
        reason = Reason.TRANSFERRED if self._transfer_timer else Reason.CALLER_DISCONNECTED
        received = closed.rcvd.code if closed.rcvd else 1006
        return Ending(reason, self._clock.at(), f"closed by the peer with {received}")


def _into_the_void(_event: LegEvent) -> None:
    """Where events go before `run`: nothing happens on a leg that does not run."""
