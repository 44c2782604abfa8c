"""A SIP call as a leg: what signalling tells becomes events, what the agent wants becomes orders.

- A call that comes in is answered once its agent is in the room, or after `answer_within_s`
  whoever is there. It counts as answered when our answer is acknowledged, or with the first media
  after it: nobody can send any without having read it, and an ACK may be lost for seconds.
- A call that goes out is dialled once its agent is in the room. What the agent says before the
  phone is answered is kept; what the phone plays before (early media) nobody hears.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any

import structlog

from bridges.clock import Clock
from bridges.ending import Ending
from bridges.leg import AgentReady, AgentReplaced, Emit, LegEvent, Offered
from bridges.race import race
from bridges.sip.channel import Channel
from bridges.sip.ipc import (
    Accepted,
    Acked,
    Answer,
    Bye,
    Dial,
    DigitInfo,
    Incoming,
    LegNews,
    Over,
    Reanswer,
    Refer,
    Referred,
    Refuse,
    RefuseReoffer,
    Reoffered,
    Rings,
    SendDigit,
)
from bridges.sip.keypad import Keypad, Way
from bridges.sip.port_pool import PortsExhausted
from bridges.sip.terms import capabilities_of, signalled_from
from bridges.sip.transfer import TIMEOUT_S, Referral, refer_target
from bridges.sip.verdict import NOT_ACCEPTABLE_HERE, ended_dial, ended_incoming, refusal_status
from bridges.sip.voice import MediaRefused, OpenSocket, SipLimits, Voice
from bridges.wire.dtmf import DIGITS, PAUSE, PAUSE_MS
from contracts.command import HangUp, SendDigits, Transfer
from contracts.media import Clear, Pause, Resume, Speech, SpeechEnd
from contracts.outcome import Reason
from contracts.report import (
    DigitPressed,
    LegAnswered,
    LegDialled,
    LegRinging,
    LegStarted,
    TransferFailed,
    TransferSent,
)
from contracts.sip_header import header_variables
from contracts.trunk import DialOrder

log = structlog.get_logger(__name__)

INFO_DIGIT_S = 0.24
"""From one key to the next where they go by INFO."""


class Phase(Enum):
    """How far the leg is."""

    NEW = "new"
    RINGING = "ringing"
    """Either way: the far end waits for our answer, or we for its."""
    ANSWERING = "answering"
    """Our 200 is on its way."""
    ANSWERED = "answered"


class SipLeg:
    """One SIP call. See `bridges.leg.Leg`.

    Args:
        call: the call that comes in, or the order to place one.
        channel: to and from signalling.
        open_socket: opens the call's media.
        advertised: the address our media are reached at.
        clock: the times.
        limits: the leg's patience.
        observe_lateness: told of each frame how late it leaves, for the whole process.
    """

    def __init__(
        self,
        call: Incoming | DialOrder,
        channel: Channel,
        open_socket: OpenSocket,
        advertised: str,
        clock: Clock,
        limits: SipLimits,
        observe_lateness: Callable[[float], None],
    ) -> None:
        self._call = call
        self._channel = channel
        self._open_socket = open_socket
        self._clock = clock
        self._limits = limits
        self._emit: Emit = _into_the_void
        self._phase = Phase.NEW
        self._answer = ""
        self._awaits_answer = False
        self._has_rung = False
        self._keypad = Keypad()
        self._referral = Referral()
        self._timers: set[asyncio.TimerHandle] = set()
        self._told: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._ended: Ending | None = None
        self._voice = Voice(
            capabilities_of(call),
            advertised,
            signalled_from(call),
            clock,
            limits,
            lambda event: self._emit(event),
            lambda digit, duration_ms: self._press(digit, duration_ms, "rtp"),
            self._hear_media,
            observe_lateness,
        )

    async def run(self, emit: Emit) -> Ending:
        """Carry the call until the far end, the bot or the lack of media ends it."""
        self._emit = emit
        self._ended = await self._carry()
        return self._ended

    def accept(self, event: LegEvent) -> None:
        """Take the agent's speech and commands."""
        match event:
            case Speech() | SpeechEnd() | Clear() | Pause() | Resume():
                self._voice.say(event)
            case AgentReady():
                self._begin()
            case AgentReplaced():
                self._voice.forget_speech()
            case Transfer():
                self._transfer(event)
            case SendDigits():
                self._send_digits(event.digits)
            case HangUp():
                self._end(Reason.DIAL_ABORTED if self._is_dial else Reason.BOT_ENDED, event.message)

    def judge(self, ending: Ending) -> Ending:
        """Return what an ending means for a phone that we dialled, which may ring for nobody."""
        if ending is self._ended or not self._is_dial or self._phase is Phase.NEW:
            return ending
        detail = f"{ending.reason.value}: {ending.detail}"
        return Ending(Reason.DIAL_ABORTED, ending.at, detail)

    async def hang_up(self, ending: Ending) -> None:
        """Refuse, cancel or hang up, whichever fits."""
        leg = self._channel.leg
        match self._call, self._phase:
            case Incoming(), Phase.NEW | Phase.RINGING:
                self._channel.tell(Refuse(leg=leg, status_code=refusal_status(ending)))
            case DialOrder(), Phase.NEW:
                pass  # signalling has not heard of it
            case _:
                self._channel.tell(Bye(leg=leg))

    async def close(self) -> None:
        """Let go of the media."""
        for timer in self._timers:
            timer.cancel()
        await self._voice.close()

    def stats(self) -> dict[str, Any]:
        """Return what the call looked like from here."""
        return {
            **self._voice.stats(),
            "digits": self._keypad.presses,
            "ignored_digits": self._keypad.ignored,
        }

    @property
    def _is_dial(self) -> bool:
        """Whether this is a phone we called, or are about to, that is not answered."""
        return isinstance(self._call, DialOrder) and self._phase is not Phase.ANSWERED

    async def _carry(self) -> Ending:
        try:
            await self._voice.open(self._open_socket)
        except (PortsExhausted, OSError) as error:
            log.error("no_media_port", error=type(error).__name__)
            is_dial = isinstance(self._call, DialOrder)
            self._end(Reason.DIAL_ABORTED if is_dial else Reason.AT_CAPACITY, "no port is free")
            return await self._told
        match self._call:
            case Incoming():
                self._offer_incoming(self._call)
            case DialOrder():
                number, shown = self._call.to_number, self._call.from_number
                self._emit(Offered(number, shown, "outgoing", "", {}, answers_at_once=False))
        return await race(self._listen(), self._voice.play(), self._voice.watch(), self._told)

    def _offer_incoming(self, call: Incoming) -> None:
        """Offer the call, if there are media that both sides can."""
        if call.sdp is not None:
            try:
                self._answer = self._voice.answer(call.sdp)
            except MediaRefused as refused:
                self._end(Reason.PROTOCOL_BROKEN, refused.reason, NOT_ACCEPTABLE_HERE)
                return
        self._phase = Phase.RINGING
        self._emit(
            Offered(
                call.caller,
                call.did,
                "incoming",
                call.sip_call_id,
                header_variables(call.headers),
                answers_at_once=False,
            )
        )
        at = self._clock.at()
        self._emit(LegStarted(at=at, stream_id=call.sip_call_id))
        self._emit(LegRinging(at=at))
        self._later(self._limits.answer_within_s, self._begin)

    def _begin(self) -> None:
        """Answer, or dial: the agent is there."""
        leg = self._channel.leg
        match self._call, self._phase:
            case Incoming(), Phase.RINGING:
                if not self._answer:
                    # A caller without an offer gets ours; its answer comes with the ACK.
                    self._answer = self._voice.offer()
                    self._awaits_answer = True
                self._phase = Phase.ANSWERING
                self._channel.tell(Answer(leg=leg, sdp=self._answer))
            case DialOrder() as order, Phase.NEW:
                self._phase = Phase.RINGING
                self._channel.tell(
                    Dial(
                        leg=leg,
                        to_number=order.to_number,
                        from_number=order.from_number,
                        trunk=order.trunk,
                        sdp=self._voice.offer(),
                        ringing_timeout_s=order.ringing_timeout_s,
                        headers=order.headers,
                    )
                )
                self._emit(LegDialled(at=self._clock.at()))

    async def _listen(self) -> Ending:
        while not self._told.done():
            self._hear(await self._channel.hear())
        return await self._told

    def _hear(self, news: LegNews) -> None:
        match news:
            case Rings():
                if not self._has_rung:
                    self._has_rung = True
                    self._emit(LegRinging(at=self._clock.at()))
            case Accepted():
                self._accept(news.sdp)
                self._answered()
            case Acked():
                if news.sdp is not None and self._awaits_answer:
                    self._accept(news.sdp)
                self._answered()
            case Reoffered():
                self._reanswer(news.sdp)
            case DigitInfo():
                self._press(news.digit, news.duration_ms, "info")
            case Referred():
                self._referred(news)
            case Over():
                self._voice.flush()
                end = ended_dial if self._is_dial else ended_incoming
                self._finish(end(news, self._clock.at()))
            case Incoming():
                pass  # it made this leg

    def _accept(self, sdp: str) -> None:
        """Take the answer to our offer; a bad one ends a call that has no media yet."""
        self._awaits_answer = False
        try:
            self._voice.accept(sdp)
        except MediaRefused as refused:
            if self._voice.plan is None:
                self._end(Reason.PROTOCOL_BROKEN, refused.reason)

    def _answered(self) -> None:
        """Let audio flow, once."""
        is_due = self._phase in (Phase.RINGING, Phase.ANSWERING)
        if not is_due or self._told.done() or self._voice.plan is None:
            return
        self._phase = Phase.ANSWERED
        self._voice.start()
        self._emit(LegAnswered(at=self._clock.at()))
        self._voice.note_hold()

    def _hear_media(self) -> None:
        if self._phase is Phase.ANSWERING:
            self._answered()

    def _reanswer(self, sdp: str | None) -> None:
        """Answer a re-offer at once; what cannot be agreed to leaves the call as it was."""
        leg = self._channel.leg
        if sdp is None:
            self._awaits_answer = True
            self._channel.tell(Reanswer(leg=leg, sdp=self._voice.offer()))
            return
        try:
            self._channel.tell(Reanswer(leg=leg, sdp=self._voice.answer(sdp)))
        except MediaRefused:
            self._channel.tell(RefuseReoffer(leg=leg, status_code=NOT_ACCEPTABLE_HERE))

    def _press(self, digit: str, duration_ms: int, way: Way) -> None:
        if self._phase is not Phase.ANSWERED or digit not in tuple(DIGITS):
            return
        if self._keypad.press(digit, way, self._clock.now()):
            at = self._clock.at()
            self._emit(DigitPressed(at=at, digit=digit, duration_ms=duration_ms))

    def _send_digits(self, digits: str) -> None:
        """Press keys, as media where the far end takes them so, else by INFO; speech waits."""
        if self._phase is not Phase.ANSWERED:
            return
        takes_s = self._voice.send_digits(digits) or self._send_by_info(digits)
        holder = f"keys {digits} {self._clock.now()}"
        self._voice.hush(holder)
        self._later(takes_s, partial(self._voice.speak_again, holder))

    def _send_by_info(self, digits: str) -> float:
        after_s = 0.0
        for digit in digits:
            if digit == PAUSE:
                after_s += PAUSE_MS / 1000
                continue
            order = SendDigit(leg=self._channel.leg, digit=digit)
            self._later(after_s, partial(self._channel.tell, order))
            after_s += INFO_DIGIT_S
        return after_s

    def _transfer(self, command: Transfer) -> None:
        target, failed = refer_target(command.to), ""
        if self._phase is not Phase.ANSWERED:
            failed = "the call is not answered"
        elif self._referral.is_pending:
            failed = "another transfer is under way"
        elif target is None:
            failed = "the target is neither a number nor a SIP address"
        if target is None or failed:
            self._emit(TransferFailed(at=self._clock.at(), failed_reason=failed))
            return
        self._referral.begin()
        self._channel.tell(Refer(leg=self._channel.leg, to=target, timeout_s=TIMEOUT_S))

    def _referred(self, news: Referred) -> None:
        progress = self._referral.advance(news.status_code, is_final=news.is_final)
        at = self._clock.at()
        if progress.is_accepted:
            self._emit(TransferSent(at=at))
        if progress.failed_reason:
            self._emit(TransferFailed(at=at, failed_reason=progress.failed_reason))
        if progress.is_done:
            self._voice.flush()
            self._end(Reason.TRANSFERRED, "Call transferred")

    def _end(self, reason: Reason, detail: str, sip_status_code: int | None = None) -> None:
        self._finish(Ending(reason, self._clock.at(), detail, sip_status_code=sip_status_code))

    def _finish(self, ending: Ending) -> None:
        if not self._told.done():
            self._told.set_result(ending)

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            act()

        timer = asyncio.get_running_loop().call_later(delay_s, fire)
        self._timers.add(timer)


def _into_the_void(_event: LegEvent) -> None:
    """Where events go before `run`: nothing happens on a leg that does not run."""
