"""Exotel's WebSocket as a leg: what a caller has heard is known by the marks that come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import ServerConnection

from bridges.clock import Clock
from bridges.leg import AgentReplaced, LegEvent, Offered, Planned
from bridges.socket_leg import SocketLeg
from bridges.wire.exotel import ExotelServer, State
from bridges.wire.exotel_event import (
    AudioReceived,
    ExotelEvent,
    KeyPressed,
    MarkReached,
    StreamStarted,
    StreamStopped,
)
from bridges.wire.exotel_message import CHUNK_STEP_BYTES
from contracts.command import HangUp, Transfer
from contracts.media import Clear, Pause, Resume, Speech, SpeechEnd
from contracts.outcome import Reason
from contracts.report import (
    DigitPressed,
    LegAnswered,
    LegStarted,
    Noticed,
    TransferFailed,
    TransferSent,
)

LEAD_MS = 400
"""How much audio Exotel may hold beyond the message that plays. An interruption does not wait for
it, since `clear` drops it; a jitter of the network is bridged by it."""
MAX_MESSAGE_MS = 400
"""With the lead less than a second: Exotel ends streams whose audio is further ahead."""
MARK_EVERY_S = 0.2
LAST_WORDS_S = 5.0
"""How long the end of a call waits for what the bot said to be heard."""
STREAM_LIMIT_NOTICE_S = 20.0
"""How long before its end a stream that becomes too long is told of."""
_UNSENT_S = 0.5


class ExotelLeg(SocketLeg[ExotelEvent]):
    """One stream of Exotel's. See `bridges.leg.Leg`.

    Args:
        connection: the socket, open.
        server: the protocol, fresh.
        clock: the times.
        observe_lateness: told of each frame how late it leaves, for the whole process.
    """

    def __init__(
        self,
        connection: ServerConnection,
        server: ExotelServer,
        clock: Clock,
        observe_lateness: Callable[[float], None],
    ) -> None:
        super().__init__(connection, server, clock, observe_lateness)
        self._server = server
        self._leaving: tuple[Reason, str] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self.unknown_marks = 0

    def accept(self, event: LegEvent) -> None:
        """Take the agent's speech and commands."""
        match event:
            case Speech() | SpeechEnd() | Clear() | Pause() | Resume():
                self._line.accept(event)
            case Planned():
                self._fit(event)
            case AgentReplaced():
                self._line.reset()
            case Transfer():
                self._transfer()
            case HangUp():
                self._leave(Reason.BOT_ENDED, event.message)

    async def close(self) -> None:
        """Let go of the socket."""
        for timer in self._timers:
            timer.cancel()
        await super().close()

    def stats(self) -> dict[str, Any]:
        """Return what the stream looked like from here."""
        return {
            **super().stats(),
            "missed_marks": self._line.missed_marks,
            "unknown_marks": self.unknown_marks,
        }

    @property
    def _is_live(self) -> bool:
        return self._server.state is State.STARTED

    def _tell(self, event: ExotelEvent) -> bool:
        match event:
            case AudioReceived():
                self._line.hear(event.pcm)
            case MarkReached():
                self._take_mark(event.name)
            case KeyPressed():
                at = self._clock.at()
                self._emit(DigitPressed(at=at, digit=event.digit, duration_ms=event.duration_ms))
            case StreamStarted():
                self._start(event)
            case StreamStopped():
                self._line.flush()
                self._end(Reason.CALLER_HUNG_UP, event.reason)
                return True
        return False

    def _start(self, stream: StreamStarted) -> None:
        """Take a call that is answered already."""
        at = self._clock.at()
        self._line.tune(stream.rate_hz)
        self._max_unsent_bytes = int(stream.rate_hz * 2 * 4 / 3 * _UNSENT_S)
        self._emit(
            Offered(
                stream.caller,
                stream.callee,
                "incoming",
                stream.stream_id,
                stream.fields,
                media_rate_hz=stream.rate_hz,
            )
        )
        self._emit(LegStarted(at=at, stream_id=stream.stream_id))
        self._line.start()
        self._emit(LegAnswered(at=at))
        self._answered.set()

    def _fit(self, plan: Planned) -> None:
        """Send what the bot's account takes, and tell in time that its stream has become long."""
        pcm_bytes = self._server.format.pcm_bytes
        a_millisecond = self._server.format.rate_hz * 2 // 1000
        step = pcm_bytes(CHUNK_STEP_BYTES)
        most = MAX_MESSAGE_MS * a_millisecond // step * step
        message_bytes = min(pcm_bytes(plan.chunk_bytes), most)
        self._line.resize(message_bytes, LEAD_MS, mark_every_s=MARK_EVERY_S)
        self._later(plan.stream_limit_s - STREAM_LIMIT_NOTICE_S, self._tell_of_limit)

    def _tell_of_limit(self) -> None:
        detail = {"left_s": STREAM_LIMIT_NOTICE_S}
        self._emit(Noticed(at=self._clock.at(), name="stream_limit_near", detail=detail))

    def _take_mark(self, name: str) -> None:
        known = name.isascii() and name.isdecimal() and len(name) < 10
        if not known or not self._line.confirm(int(name)):
            self.unknown_marks += 1

    def _send_audio(self, pcm: bytes) -> None:
        self._server.send_media(pcm)

    def _send_stop(self) -> None:
        self._server.clear()

    def _send_mark(self, mark: int) -> None:
        self._server.send_mark(str(mark))

    def _transfer(self) -> None:
        """Give the caller back to Exotel's flow, which asks what is to become of them."""
        if not self._is_live:
            failed = f"the stream waits for {self._server.state.value}"
            self._emit(TransferFailed(at=self._clock.at(), failed_reason=failed))
        elif self._leaving is None:
            self._leave(Reason.TRANSFERRED, "Call transferred")

    def _leave(self, reason: Reason, detail: str) -> None:
        """End the call once all that the bot said was heard."""
        if self._leaving is not None:
            return
        self._leaving = (reason, detail)
        self._later(LAST_WORDS_S, self._go)
        self._line.wake()

    def _ticked(self) -> None:
        if self._leaving is not None and self._line.is_idle:
            self._go()

    def _go(self) -> None:
        if self._leaving is None or self._told.done():
            return
        reason, detail = self._leaving
        if reason is Reason.TRANSFERRED:
            self._emit(TransferSent(at=self._clock.at()))
        self._end(reason, detail)

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(max(0.0, delay_s), act))
