"""A dialler's WebSocket as a leg: its messages to events, the playback clock to its messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import ServerConnection

from bridges.clock import Clock
from bridges.ending import Ending
from bridges.leg import AgentReplaced, LegEvent, Offered, Planned
from bridges.socket_leg import SocketLeg
from bridges.wire.dialler import DiallerServer, State
from bridges.wire.dialler_event import (
    Answered,
    Connected,
    DiallerEvent,
    HungUp,
    MediaReceived,
    Started,
)
from bridges.wire.dialler_message import CHUNK_BYTES, CHUNK_MS
from contracts.command import HangUp, Transfer
from contracts.media import Clear, Pause, Resume, Speech, SpeechEnd
from contracts.outcome import Reason
from contracts.report import LegAnswered, LegStarted, TransferFailed, TransferSent

TRANSFER_TIMEOUT_S = 10.0
"""How long a dialler may take to hang up on us once it was told to transfer."""


class StreamLeg(SocketLeg[DiallerEvent]):
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
        super().__init__(connection, server, clock, observe_lateness)
        self._server = server
        self._transfer_timer: asyncio.TimerHandle | None = None

    def accept(self, event: LegEvent) -> None:
        """Take the agent's speech and commands."""
        match event:
            case Speech() | SpeechEnd() | Clear() | Pause() | Resume():
                self._line.accept(event)
            case Planned():
                # Twenty milliseconds leave on time, one by one. A longer message must be complete
                # before it leaves, and the next one be there when it is over.
                lead_ms = event.message_ms if event.message_ms > CHUNK_MS else 0
                self._line.resize(event.message_ms // CHUNK_MS * CHUNK_BYTES, lead_ms)
            case AgentReplaced():
                self._line.reset()
            case Transfer():
                self._transfer(event)
            case HangUp():
                self._end(Reason.BOT_ENDED, event.message)

    async def close(self) -> None:
        """Let go of the socket."""
        if self._transfer_timer is not None:
            self._transfer_timer.cancel()
        await super().close()

    def stats(self) -> dict[str, Any]:
        """Return what the stream looked like from here."""
        return {**super().stats(), "ignored_fields": self._server.ignored_fields}

    @property
    def _is_live(self) -> bool:
        return self._server.state is State.ANSWERED

    @property
    def _is_handed_over(self) -> bool:
        return self._transfer_timer is not None

    def _tell(self, event: DiallerEvent) -> bool:
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

    def _send_audio(self, pcm: bytes) -> None:
        self._server.send_media(pcm, self._clock.at())

    def _send_stop(self) -> None:
        self._server.stop_media()

    def _say_goodbye(self, ending: Ending) -> None:
        if self._is_live:
            self._server.hang_up(ending.detail or "Call ended")

    def _transfer(self, command: Transfer) -> None:
        if not self._is_live:
            failed = f"the stream waits for {self._server.state.value}"
            self._emit(TransferFailed(at=self._clock.at(), failed_reason=failed))
            return
        self._server.transfer(command.to, target=command.target, reason=command.reason)
        self._line.wake()
        self._emit(TransferSent(at=self._clock.at()))
        self._transfer_timer = asyncio.get_running_loop().call_later(
            TRANSFER_TIMEOUT_S, self._end, Reason.TRANSFERRED, "Call transferred"
        )
