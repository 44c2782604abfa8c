"""An agent in a real LiveKit room that does as the test says, or echoes what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Self

from livekit import rtc

from contracts.command import AnyCommand, serialize_command
from contracts.ids import (
    ANSWERED_ATTRIBUTE,
    COMMAND_TOPIC,
    LEG_NEWS_TOPIC,
    MEDIA_TOPIC,
    PRESENCE_TRACK,
    agent_identity,
    standby_identity,
)
from contracts.leg_news import AnyNews, parse_news
from contracts.media import (
    MAX_PACKET_BYTES,
    DownPacket,
    Finished,
    Heard,
    Speech,
    SpeechEnd,
    parse_up,
    serialize,
)
from contracts.plan import Plan
from tests.fakes.sidecar import FakeSidecar


class RoomAgent:
    """One incarnation of a call's agent.

    Attributes:
        heard: what the caller said, packet by packet.
        finished: what the bridge told about segments.
        news: what it told about the line.
        attributes: each change of the caller's attributes.
        answered: set once the caller's participant says so.
        caller_left: set once the caller has left the room.
        echoing: whether caller audio is kept for `echo`.
    """

    def __init__(self, plan: Plan, incarnation: int = 1) -> None:
        self.heard: list[Heard] = []
        self.finished: list[Finished] = []
        self.news: list[AnyNews] = []
        self.attributes: list[dict[str, str]] = []
        self.answered = asyncio.Event()
        self.caller_left = asyncio.Event()
        self.echoing = False
        has_waited = plan.standby_id and incarnation == 1
        own = agent_identity(plan.call_id, incarnation)
        self.identity = standby_identity(plan.standby_id) if has_waited else own
        self._caller = plan.caller_identity
        self._plan = plan
        self._changed = asyncio.Event()
        self._echoes: asyncio.Queue[bytes] = asyncio.Queue()
        self.room = rtc.Room()
        self.room.on("data_received", self._receive)
        self.room.on("participant_attributes_changed", lambda _, who: self._meet(who))
        self.room.on("participant_connected", self._meet)
        self.room.on("participant_disconnected", self._participant_left)

    @classmethod
    async def join(cls, sidecar: FakeSidecar, plan: Plan, incarnation: int = 1) -> Self:
        """Join the plan's room as the given incarnation."""
        agent = cls(plan, incarnation)
        token = sidecar.token(plan.room_name, agent.identity)
        await agent.room.connect(plan.livekit_url, token, rtc.RoomOptions(auto_subscribe=False))
        for participant in agent.room.remote_participants.values():
            agent._meet(participant)
        await agent.room.local_participant.publish_data_track(name=PRESENCE_TRACK)
        return agent

    async def send(self, packet: DownPacket) -> None:
        """Send one packet to the bridge."""
        await self.send_bytes(serialize(packet), MEDIA_TOPIC)

    async def send_bytes(self, payload: bytes, topic: str) -> None:
        """Send anything to the bridge."""
        await self.room.local_participant.publish_data(
            payload, destination_identities=[self._caller], topic=topic
        )

    async def say(self, segment: int, pcm: bytes) -> None:
        """Send a whole segment, faster than real time."""
        step = MAX_PACKET_BYTES - 8
        for start in range(0, len(pcm), step):
            await self.send(Speech(segment, pcm[start : start + step]))
        await self.send(SpeechEnd(segment))

    async def command(self, command: AnyCommand) -> None:
        """Tell the bridge to do something."""
        await self.send_bytes(serialize_command(command), COMMAND_TOPIC)

    async def until(self, predicate: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait until something is true of what was heard or finished."""
        async with asyncio.timeout(timeout_s):
            while not predicate():
                self._changed.clear()
                await self._changed.wait()

    async def echo(self) -> None:
        """Send back every packet that is not silence, as a segment of its own, until cancelled."""
        self.echoing = True
        for segment in count(1):
            await self.say(segment, await self._echoes.get())

    def heard_pcm(self) -> bytes:
        """Return all caller audio so far."""
        return b"".join(packet.pcm for packet in self.heard)

    async def leave(self) -> None:
        """Leave the room without a word."""
        await self.room.disconnect()

    def _receive(self, packet: rtc.DataPacket) -> None:
        if packet.participant is None or packet.participant.identity != self._caller:
            return
        if packet.topic == LEG_NEWS_TOPIC:
            self.news.append(parse_news(packet.data))
            self._changed.set()
            return
        match parse_up(packet.data):
            case Heard() as heard:
                self.heard.append(heard)
                if self.echoing and any(heard.pcm):
                    self._echoes.put_nowait(heard.pcm)
            case Finished() as finished:
                self.finished.append(finished)
        self._changed.set()

    def _meet(self, participant: rtc.Participant) -> None:
        self.attributes.append(dict(participant.attributes))
        self._changed.set()
        if participant.attributes.get(ANSWERED_ATTRIBUTE) == "1":
            self.answered.set()

    def _participant_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._caller:
            self.caller_left.set()
            self._changed.set()
