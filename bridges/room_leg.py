"""A call's LiveKit room as a leg: the caller's seat in it, without tracks, PCM as data packets."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import structlog
from livekit import rtc
from livekit.rtc.participant import PublishDataError

from bridges.clock import Clock
from bridges.data_room import DataRoom
from bridges.ending import Ending, refused_plan
from bridges.leg import AgentReady, AgentReplaced, Emit, LegEvent, Offered, Planned, Played
from bridges.listen_in import BOT_TRACK, CALLER_TRACK, ListenIn
from bridges.race import cancel, race, within
from bridges.seat import Seats, be_seen
from contracts.command import parse_command
from contracts.ids import (
    ANSWERED_ATTRIBUTE,
    COMMAND_TOPIC,
    HOLD_ATTRIBUTE,
    LEG_NEWS_TOPIC,
    MEDIA_TOPIC,
    agent_incarnation,
)
from contracts.leg_news import (
    AnyNews,
    CallAnswered,
    CallHeld,
    CallResumed,
    DigitHeard,
    TransferAccepted,
    TransferDone,
    TransferRefused,
    serialize_news,
)
from contracts.media import Finished, Heard, UpPacket, parse_down, serialize
from contracts.outcome import Reason
from contracts.plan import Plan
from contracts.report import (
    DigitPressed,
    LegAnswered,
    LegHeld,
    LegResumed,
    TransferFailed,
    TransferSent,
)
from sidecar.client import SidecarError

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S = 10.0
ANSWER_WINDOW_S = 0.02
"""How long a call is held back to see whether it is answered with its first messages."""
ATTRIBUTE_TIMEOUT_S = 0.3
"""What telling the room of the answer may take: the server's receipt for it is lost at times."""
AGENT_JOIN_TIMEOUT_S = 10.0
"""A backstop: the sidecar gives up an unclaimed call, and deletes its room, sooner."""
AGENT_RETURN_TIMEOUT_S = 10.0
"""The same for an agent that left and is to be replaced."""
MAX_HELD_NEWS = 100
"""Of the line, while no agent is there: keys pressed, above all."""
MAX_HELD_PACKETS = 250
"""Ten seconds of what a caller says before an agent is there; the oldest go first."""
OVERTIME_S = 60.0
"""Beyond the bot's own limit, which the agent keeps; only a frozen agent gets here."""


class RoomLeg:
    """The agent's side of a call. See `bridges.leg.Leg`.

    Args:
        plan: asks for the plan; called once, when the call is offered.
        clock: the times.
        seats: rooms this bridge sits in already.
    """

    def __init__(
        self, plan: Callable[[Offered], Awaitable[Plan]], clock: Clock, seats: Seats | None = None
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._seats = seats or Seats()
        self._room: DataRoom | None = None
        self._call_id = ""
        self._standby_id = ""
        self._is_seen = False
        self._emit: Emit | None = None
        self._offered: asyncio.Future[Offered] = asyncio.get_running_loop().create_future()
        self._lost: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._queue: deque[UpPacket] = deque(maxlen=MAX_HELD_PACKETS)
        self._news: deque[AnyNews] = deque(maxlen=MAX_HELD_NEWS)
        self._answered = asyncio.Event()
        self._is_held = False
        self._hold_changed = asyncio.Event()
        self._open = False
        self._last_heard = Heard(0, 0, 0, b"")
        self._listen_in = ListenIn()
        self._incarnation = 0
        self._agent = ""
        self._agent_there = asyncio.Event()
        self._agent_gone = asyncio.Event()
        self._reconnecting = False
        self.bad_packets = 0
        self.foreign_packets = 0
        self.lost_packets = 0

    async def run(self, emit: Emit) -> Ending:
        """Plan, join, and carry the call until the room or its agent is gone."""
        self._emit = emit
        offered = await self._offered
        window_s = ANSWER_WINDOW_S if offered.answers_at_once else 0.0
        at_once = await within(window_s, self._answered.wait())
        offered = replace(offered, answered=at_once)
        try:
            plan = await self._plan(offered)
        except SidecarError as error:
            return refused_plan(error, self._clock.at())
        self._call_id, self._standby_id = plan.call_id, plan.standby_id
        self._listen_in = ListenIn(plan.media_rate_hz)
        emit(Planned(plan.stream_message_ms, plan.exotel_chunk_bytes, plan.exotel_stream_limit_s))
        try:
            room = await self._enter(plan)
        except (rtc.ConnectError, TimeoutError) as error:
            return self._ending(Reason.ROOM_LOST, f"cannot join: {type(error).__name__}")
        for participant in list(room.remote_participants.values()):
            self._meet(participant)
        listening = asyncio.create_task(self._listen_in.run(room.local_participant))
        try:
            return await race(
                self._sit(room.local_participant, is_told=at_once and not self._is_seen),
                self._miss_agent(),
                self._overrun(plan.max_call_duration_s),
                self._lost,
            )
        finally:
            # Nothing reaches anybody through a room that has been lost.
            self._open = self._open and not self._lost.done()
            await cancel(listening)

    def accept(self, event: LegEvent) -> None:
        """Take the caller's audio and the carrier's facts."""
        match event:
            case Heard() | Finished():
                if isinstance(event, Heard):
                    self._last_heard = event
                    self._listen_in.push(CALLER_TRACK, event.pcm)
                self.lost_packets += len(self._queue) == MAX_HELD_PACKETS
                self._queue.append(event)
                self._drain()
            case Played():
                self._listen_in.push(BOT_TRACK, event.pcm)
            case LegAnswered():
                self._answered.set()
                self._bring(CallAnswered())
            case LegHeld() | LegResumed():
                self._hold(event)
            case DigitPressed():
                self._bring(DigitHeard(digit=event.digit, duration_ms=event.duration_ms))
            case TransferSent():
                self._bring(TransferAccepted())
            case TransferFailed():
                self._bring(TransferRefused(reason=event.failed_reason))
            case Offered():
                self._offered.set_result(event)

    def _bring(self, news: AnyNews) -> None:
        """Tell the agent, as soon as there is one and the caller is seen to be answered."""
        self._news.append(news)
        self._drain()

    def _hold(self, event: LegHeld | LegResumed) -> None:
        is_held = isinstance(event, LegHeld)
        self._bring(CallHeld() if is_held else CallResumed())
        self._is_held = is_held
        self._hold_changed.set()

    async def hang_up(self, ending: Ending) -> None:
        """Deliver the caller's last words, if there is an agent to hear them."""
        if self._room is None or not self._open or not self._agent_there.is_set():
            return
        if ending.reason is Reason.TRANSFERRED:
            self._bring(TransferDone())
        # Nothing new, but it leaves after everything that was said.
        last = replace(self._last_heard, pcm=b"")
        try:
            await self._room.send_last(serialize(last), self._agent, MEDIA_TOPIC)
        except PublishDataError:
            log.warning("last_words_lost", call_id=self._call_id)

    async def close(self) -> None:
        """Leave the room."""
        if self._room is not None:
            await self._room.leave()

    def stats(self) -> dict[str, Any]:
        """Return what went wrong in the room, if anything did."""
        return {
            "incarnation": self._incarnation,
            "bad_packets": self.bad_packets,
            "foreign_packets": self.foreign_packets,
            "lost_packets": self.lost_packets,
        }

    async def _enter(self, plan: Plan) -> DataRoom:
        """Return the call's room: joined now, unless this bridge has a seat in it."""
        room = await self._seats.take(plan.standby_id)
        if room is not None:
            self._is_seen = True
            self._room = self._listen(room)
            room.attach(self._receive)
            return room
        room = self._room = self._listen(DataRoom(self._receive))
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await room.join(plan.livekit_url, plan.token)
        return room

    async def _sit(self, local: rtc.LocalParticipant, *, is_told: bool) -> Ending:
        """Be seen at once, and be seen to be answered once the phone is.

        Args:
            local: the caller's own participant.
            is_told: the token that let it in says that it is answered.
        """
        if not self._is_seen:
            await be_seen(local)
        await self._answered.wait()
        telling = asyncio.create_task(local.set_attributes({ANSWERED_ATTRIBUTE: "1"}))
        try:
            if not self._is_seen and not is_told:
                # Before any audio, so that an agent never hears a caller who is not there yet.
                await asyncio.wait({telling}, timeout=ATTRIBUTE_TIMEOUT_S)
                if telling.done():
                    telling.result()
            self._open = True
            self._drain()
            return await race(self._tell_holds(local), self._lost)
        finally:
            await cancel(telling)

    async def _tell_holds(self, local: rtc.LocalParticipant) -> Ending:
        while True:
            await self._hold_changed.wait()
            self._hold_changed.clear()
            # Set by the call itself; a receipt that is lost must not hold up the next change.
            setting = local.set_attributes({HOLD_ATTRIBUTE: "1" if self._is_held else ""})
            await within(ATTRIBUTE_TIMEOUT_S, setting)

    def _drain(self) -> None:
        room = self._room
        if room is None or not self._open or not self._agent_there.is_set():
            return
        while self._news:
            room.send(serialize_news(self._news.popleft()), self._agent, LEG_NEWS_TOPIC)
        while self._queue:
            room.send(serialize(self._queue.popleft()), self._agent, MEDIA_TOPIC)

    async def _miss_agent(self) -> Ending:
        timeout_s = AGENT_JOIN_TIMEOUT_S
        while True:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._agent_there.wait()
            except TimeoutError:
                if not self._reconnecting:
                    return self._agent_missing()
                continue
            await self._agent_gone.wait()
            timeout_s = AGENT_RETURN_TIMEOUT_S

    async def _overrun(self, max_call_duration_s: float) -> Ending:
        await asyncio.sleep(max_call_duration_s + OVERTIME_S)
        return self._ending(Reason.MAX_DURATION, "the agent did not end the call in time")

    def _listen(self, room: DataRoom) -> DataRoom:
        room.on("participant_connected", self._meet)
        room.on("participant_active", self._meet)
        room.on("participant_disconnected", self._part)
        room.on("disconnected", self._leave)
        room.on("reconnecting", self._reconnect)
        room.on("reconnected", self._reconnected)
        return room

    def _meet(self, participant: rtc.RemoteParticipant) -> None:
        if participant.state != rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE:
            return
        identity = participant.identity
        if agent_incarnation(identity, self._call_id, self._standby_id) is None:
            self._listen_in.come(identity)
        else:
            self._follow(identity)

    def _follow(self, identity: str) -> bool:
        """Follow the newest incarnation of the call's agent; return whether this is it."""
        incarnation = agent_incarnation(identity, self._call_id, self._standby_id)
        if incarnation is None or incarnation < self._incarnation:
            return False
        if incarnation > self._incarnation > 0:
            log.info("agent_replaced", call_id=self._call_id, incarnation=incarnation)
            self._queue.clear()  # positions in what the former agent said
            self._tell(AgentReplaced())
        self._incarnation, self._agent = incarnation, identity
        if not self._agent_there.is_set():
            self._agent_gone.clear()
            self._agent_there.set()
            self._tell(AgentReady())
            self._drain()
        return True

    def _part(self, participant: rtc.RemoteParticipant) -> None:
        self._listen_in.go(participant.identity)
        if participant.identity == self._agent:
            self._agent_there.clear()
            self._agent_gone.set()

    def _receive(self, identity: str, topic: str, payload: bytes) -> None:
        if topic not in {MEDIA_TOPIC, COMMAND_TOPIC}:
            return
        if identity != self._agent and not self._follow(identity):
            self.foreign_packets += 1
            return
        try:
            self._tell(parse_down(payload) if topic == MEDIA_TOPIC else parse_command(payload))
        except ValueError:
            self.bad_packets += 1
            log.warning("bad_packet", call_id=self._call_id, topic=topic)

    def _leave(self, reason: rtc.DisconnectReason.ValueType) -> None:
        if self._lost.done():
            return
        deleted = reason == rtc.DisconnectReason.ROOM_DELETED
        if deleted and not self._agent_there.is_set():
            # The sidecar has given up finding an agent.
            self._lost.set_result(self._agent_missing())
        else:
            name = rtc.DisconnectReason.Name(reason)
            self._lost.set_result(self._ending(Reason.ROOM_LOST, f"room left: {name}"))

    def _reconnect(self) -> None:
        self._reconnecting = True
        log.warning("room_reconnecting", call_id=self._call_id)

    def _reconnected(self) -> None:
        self._reconnecting = False
        log.info("room_reconnected", call_id=self._call_id)

    def _tell(self, event: LegEvent) -> None:
        if self._emit is not None:
            self._emit(event)

    def _agent_missing(self) -> Ending:
        if self._incarnation:
            return self._ending(Reason.AGENT_LOST, "the agent left")
        return self._ending(Reason.NO_AGENT, "no agent took the call")

    def _ending(self, reason: Reason, detail: str) -> Ending:
        return Ending(reason, self._clock.at(), detail)
