"""The media of a SIP call: offers and answers, audio both ways, hold, and the lack of any."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bridges.clock import Clock
from bridges.ending import Ending
from bridges.leg import Emit
from bridges.line import Line
from bridges.sip.hold import Holds
from bridges.sip.rtp_stream import CallerAudio, MediaStarted, RtpEvent
from bridges.wire.dtmf import Digit
from bridges.wire.media_plan import Capabilities, LocalMedia, MediaPlan, Refusal
from bridges.wire.negotiation import Negotiation
from bridges.wire.sdp import SdpError
from contracts.media import DownPacket
from contracts.outcome import Reason
from contracts.report import LegHeld, LegResumed

WATCH_S = 0.5


class MediaSocket(Protocol):
    """What a call needs of its media; `bridges.sip.rtp_socket.RtpSocket` has it."""

    port: int

    def apply(self, plan: MediaPlan, *, signalled_from: str = "") -> None: ...

    def start(self) -> None: ...

    def send(self, pcm: bytes) -> bool: ...

    def send_digits(self, digits: str) -> float: ...

    def stats(self) -> dict[str, Any]: ...

    async def close(self) -> None: ...


OpenSocket = Callable[[Callable[[RtpEvent], None]], Awaitable[MediaSocket]]


class MediaRefused(Exception):
    """There are no media that both sides can.

    Attributes:
        reason: why; nothing the peer sent, so it may be logged.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SipLimits:
    """A call's patience: see the settings of the same names."""

    answer_within_s: float = 5.0
    no_media_s: float = 10.0
    media_timeout_s: float = 30.0


class Voice:
    """One call's media. `open` first, `start` once the phone is answered, `close` at the end.

    While the line is held, the bot's voice stands still, the timers of missing media stop, and what
    the far end sends is music that nobody hears.

    Args:
        capabilities: what we may agree to.
        advertised: the address our media are reached at.
        signalled_from: where signalling comes from; media are taken from there as well.
        clock: the times.
        limits: how long media may be missing.
        emit: told what the caller says, and of holds.
        on_digit: told of keys that come as media.
        on_media: told when the first packet comes.
        observe_lateness: told of each frame how late it leaves, for the whole process.
    """

    def __init__(
        self,
        capabilities: Capabilities,
        advertised: str,
        signalled_from: str,
        clock: Clock,
        limits: SipLimits,
        emit: Emit,
        on_digit: Callable[[str, int], None],
        on_media: Callable[[], None],
        observe_lateness: Callable[[float], None],
    ) -> None:
        self._capabilities = capabilities
        self._advertised = advertised
        self._signalled_from = signalled_from
        self._clock = clock
        self._limits = limits
        self._emit = emit
        self._on_digit = on_digit
        self._on_media = on_media
        self._line = Line(clock, emit, self._send, lambda: None, observe_lateness)
        self._holds = Holds(self._tell_hold)
        self._socket: MediaSocket | None = None
        self._negotiation: Negotiation | None = None
        self._is_started = False

    async def open(self, open_socket: OpenSocket) -> None:
        """Take a port.

        Raises:
            PortsExhausted, OSError: there is none.
        """
        self._socket = await open_socket(self._take)
        local = LocalMedia(self._advertised, self._socket.port, secrets.randbits(31))
        self._negotiation = Negotiation(local, self._capabilities, secrets.token_bytes)

    @property
    def plan(self) -> MediaPlan | None:
        """What is agreed, if anything is."""
        return self._negotiation.plan if self._negotiation is not None else None

    def offer(self) -> str:
        """Return our offer."""
        assert self._negotiation is not None
        return self._negotiation.offer().decode()

    def answer(self, offer: str) -> str:
        """Return our answer to an offer, and carry media accordingly.

        Raises:
            MediaRefused: nothing changes.
        """
        assert self._negotiation is not None
        try:
            answer = self._negotiation.answer(offer.encode())
        except SdpError as error:
            raise MediaRefused(error.reason) from error
        if isinstance(answer, Refusal):
            raise MediaRefused(answer.reason.value)
        self._apply()
        return answer.decode()

    def accept(self, answer: str) -> None:
        """Take the far end's answer to our offer.

        Raises:
            MediaRefused: nothing changes.
        """
        assert self._negotiation is not None
        try:
            plan = self._negotiation.accept(answer.encode())
        except SdpError as error:
            raise MediaRefused(error.reason) from error
        if isinstance(plan, Refusal):
            raise MediaRefused(plan.reason.value)
        self._apply()

    def start(self) -> None:
        """Let audio flow: the phone is answered."""
        assert self._socket is not None
        self._is_started = True
        self._socket.start()
        self._line.start()

    def note_hold(self) -> None:
        """Take the agreed direction to heart."""
        plan = self.plan
        if not self._is_started or plan is None:
            return
        if plan.is_held:
            self._line.hold("far end")
        self._holds.note(plan.is_held)
        if not plan.is_held:
            self._line.release("far end")

    def say(self, packet: DownPacket) -> None:
        """Take the agent's speech, or what is to become of it."""
        self._line.accept(packet)

    def forget_speech(self) -> None:
        """Drop what a former agent said."""
        self._line.reset()

    def flush(self) -> None:
        """Pass on what the caller said last."""
        self._line.flush()

    def send_digits(self, digits: str) -> float:
        """Press keys as media; return how long that takes, 0.0 where the far end takes none so."""
        assert self._socket is not None
        return self._socket.send_digits(digits)

    def hush(self, holder: str) -> None:
        """Hold speech back until `speak_again`."""
        self._line.hold(holder)

    def speak_again(self, holder: str) -> None:
        """Undo `hush`."""
        self._line.release(holder)

    async def play(self) -> Ending:
        """Play what the agent says, until cancelled."""
        while True:
            self._line.tick()
            await self._line.sleep()

    async def watch(self) -> Ending:
        """Return once the caller's media never came, or come no more."""
        packets, since = 0, self._clock.now()
        while True:
            await asyncio.sleep(WATCH_S)
            now, plan = self._clock.now(), self.plan
            assert self._socket is not None
            if not self._is_started or plan is None:
                since = now
                continue
            received = self._socket.stats()["received_packets"]
            if received != packets or plan.is_held or not plan.direction.receives:
                packets, since = received, now
            limit_s = self._limits.media_timeout_s if packets else self._limits.no_media_s
            if now - since >= limit_s:
                reason = Reason.MEDIA_TIMEOUT if packets else Reason.NO_MEDIA
                return Ending(reason, self._clock.at(), f"no media for {limit_s:g} s")

    async def close(self) -> None:
        """Let go of the port."""
        self._holds.close()
        if self._socket is not None:
            await self._socket.close()

    def stats(self) -> dict[str, Any]:
        """Return what the media looked like from here."""
        plan = self.plan
        return {
            **self._line.stats(),
            **(self._socket.stats() if self._socket is not None else {}),
            "codec": plan.codec.encoding if plan is not None else "",
            "srtp": plan is not None and plan.srtp is not None,
            "holds": self._holds.count,
        }

    def _apply(self) -> None:
        plan = self.plan
        assert self._socket is not None
        assert plan is not None
        self._socket.apply(plan, signalled_from=self._signalled_from)
        self.note_hold()

    def _tell_hold(self, is_held: bool) -> None:
        at = self._clock.at()
        self._emit(LegHeld(at=at) if is_held else LegResumed(at=at))

    def _take(self, event: RtpEvent) -> None:
        match event:
            case CallerAudio():
                if self._is_started and not self._holds.is_held:
                    self._line.hear(event.pcm)
            case Digit():
                self._on_digit(event.char, event.duration_ms)
            case MediaStarted():
                self._on_media()

    def _send(self, pcm: bytes) -> bool:
        return self._socket is not None and self._socket.send(pcm)
