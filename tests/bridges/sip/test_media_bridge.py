"""A media process's calls, over a real line to a scripted signalling, with real ports."""

from __future__ import annotations

import asyncio
import socket
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from bridges.clock import Clock
from bridges.report import CallReport
from bridges.sip.ipc import (
    Accepted,
    Acked,
    Answer,
    Bye,
    Dial,
    Drain,
    Incoming,
    Over,
    Ping,
    Pong,
    Ready,
    Refuse,
    ToMedia,
    ToSignalling,
    parse_to_signalling,
    serialize,
)
from bridges.sip.media_bridge import MediaBridge
from bridges.sip.settings import SipSettings
from contracts.outcome import Reason
from contracts.report import LegEnded
from tests.fakes.planned_room import PlannedRoom
from tests.fakes.sidecar import FakeSidecar
from tests.fakes.sip_call import TRUNK, Phone

OFFER = Phone().offer()
APOLOGY_FRAMES = 7
T = TypeVar("T")


@dataclass
class Signalling:
    """The other end of the line."""

    sidecar: FakeSidecar
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    running: asyncio.Task[None]
    rooms: list[PlannedRoom] = field(default_factory=list)
    heard: list[ToSignalling] = field(default_factory=list)

    def tell(self, *messages: ToMedia) -> None:
        for message in messages:
            self.writer.write(serialize(message))

    async def next(self, kind: type[T]) -> T:
        """Return the next message of a kind, the ones before it skipped."""
        async with asyncio.timeout(5):
            while True:
                message = parse_to_signalling(await self.reader.readline())
                self.heard.append(message)
                if isinstance(message, kind):
                    return message

    async def answered(self, leg: str) -> None:
        """Let a call come in and be answered."""
        self.tell(incoming(leg))
        assert (await self.next(Answer)).leg == leg
        self.tell(Acked(leg=leg), Ping(number=0))
        await self.next(Pong)

    async def over(self) -> None:
        """Wait until the process's work is done."""
        async with asyncio.timeout(10):
            await self.running


def incoming(leg: str) -> Incoming:
    return Incoming(
        leg=leg, sip_call_id=f"{leg}@phone", did="100", caller="200", sdp=OFFER,
        peer_ip="127.0.0.1", trunk_id="trunk", headers={"x-tier": "gold"},
    )  # fmt: skip


@pytest.fixture
async def signalling(tmp_path: Path) -> AsyncIterator[Signalling]:
    sidecar = FakeSidecar()
    clip = tmp_path / "clip.wav"
    with wave.open(str(clip), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(320 * APOLOGY_FRAMES))
    settings = SipSettings(
        sip_state_dir=tmp_path,
        sip_media_max_calls=2,
        rtp_port_start=43100,
        rtp_port_end=43199,
        bridge_goodbye_clip=clip,
    )
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    their_reader, their_writer = await asyncio.open_unix_connection(sock=theirs)
    rooms: list[PlannedRoom] = []

    def enter(report: CallReport, clock: Clock) -> PlannedRoom:
        rooms.append(PlannedRoom(report, clock))
        return rooms[-1]

    async with sidecar.client() as client:
        bridge = MediaBridge(settings, client, Clock(), their_reader, their_writer, enter)
        running = asyncio.create_task(bridge.run())
        live = Signalling(sidecar, reader, writer, running, rooms)
        ready = await live.next(Ready)
        assert ready == Ready(bridge_id=bridge.bridge_id, max_calls=2)
        yield live
        writer.close()
        await live.over()


async def test_call_that_comes_in_is_planned_answered_and_reported(signalling: Signalling) -> None:
    await signalling.answered("a")
    (plan,) = await signalling.sidecar.planned()
    (request,) = signalling.sidecar.requests
    assert (request.channel, request.did, request.caller_id) == ("sip", "100", "200")
    assert (request.trunk_id, request.bot_id, request.answered) == ("trunk", "", False)
    assert request.connected_event["sip_header_x_tier"] == "gold"

    signalling.tell(Over(leg="a", how="bye"))
    ended = await signalling.sidecar.ended(plan.call_id)
    assert ended.reason is Reason.CALLER_HUNG_UP
    names = signalling.sidecar.names(plan.call_id)
    assert names == ["leg_started", "leg_ringing", "leg_answered", "leg_ended"]
    assert ended.stats["codec"] == "PCMA"


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        ((404, "bot_unknown", "no bot has this number"), 404),
        ((429, "at_capacity", "full"), 486),
        ((403, "outside_hours", "closed"), 480),
        ((403, "unauthorised", "no"), 403),
        ((503, "room_unavailable", "no room"), 503),
    ],
)
async def test_call_that_is_not_planned_is_refused(
    signalling: Signalling, refusal: tuple[int, str, str], status: int
) -> None:
    signalling.sidecar.refusal = refusal
    signalling.tell(incoming("a"))
    assert await signalling.next(Refuse) == Refuse(leg="a", status_code=status)
    assert signalling.sidecar.facts == {}


async def test_process_that_is_full_is_busy(signalling: Signalling) -> None:
    await signalling.answered("a")
    await signalling.answered("b")
    signalling.tell(incoming("c"))
    assert await signalling.next(Refuse) == Refuse(leg="c", status_code=486)
    assert len(signalling.sidecar.requests) == 2


async def test_call_to_place_is_dialled_and_reported(signalling: Signalling) -> None:
    order = await signalling.sidecar.order(TRUNK, "+919876543210")
    dial = await signalling.next(Dial)
    assert (dial.to_number, dial.trunk) == ("+919876543210", TRUNK)
    signalling.tell(Accepted(leg=dial.leg, sdp=Phone().answer(dial.sdp)))
    await signalling.rooms[0].running.wait()
    signalling.tell(Over(leg=dial.leg, how="bye"))

    call_id = order.plan.call_id
    assert (await signalling.sidecar.ended(call_id)).reason is Reason.CALLER_HUNG_UP
    assert signalling.sidecar.names(call_id) == ["leg_dialled", "leg_answered", "leg_ended"]
    assert signalling.sidecar.requests == []


async def test_phone_that_is_busy_is_reported_with_its_status(signalling: Signalling) -> None:
    order = await signalling.sidecar.order(TRUNK, "+919876543210")
    dial = await signalling.next(Dial)
    signalling.tell(Over(leg=dial.leg, how="failed", status_code=486))
    ended = await signalling.sidecar.ended(order.plan.call_id)
    assert (ended.reason, ended.sip_status_code) == (Reason.BUSY, 486)


async def test_dial_whose_room_is_lost_is_aborted(signalling: Signalling) -> None:
    order = await signalling.sidecar.order(TRUNK, "+919876543210")
    dial = await signalling.next(Dial)
    signalling.rooms[0].end(Reason.ROOM_LOST)
    assert await signalling.next(Bye) == Bye(leg=dial.leg)
    ended = await signalling.sidecar.ended(order.plan.call_id)
    assert ended.reason is Reason.DIAL_ABORTED


async def test_heartbeats_name_the_calls_and_the_door(signalling: Signalling) -> None:
    await signalling.answered("a")
    (plan,) = await signalling.sidecar.planned()
    async with asyncio.timeout(5):
        while not any(beat.calls for beat in signalling.sidecar.heartbeats):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    beat = signalling.sidecar.heartbeats[-1]
    assert (beat.kind, beat.door, beat.max_calls, beat.ready) == ("bridge", "sip", 2, True)
    assert beat.calls == [plan.call_id]
    assert "lateness_p99" in beat.metrics
    assert "/health/fleet" not in signalling.sidecar.asked, "no load balancer asks us"


async def test_caller_whose_agent_is_lost_hears_our_apology(signalling: Signalling) -> None:
    await signalling.answered("a")
    await signalling.rooms[0].running.wait()
    signalling.rooms[0].end(Reason.AGENT_LOST)
    assert await signalling.next(Bye) == Bye(leg="a")
    ended = await signalling.sidecar.ended()
    assert ended.reason is Reason.AGENT_LOST
    assert ended.stats["frame_lateness_ms"]["frames"] == APOLOGY_FRAMES


async def test_ping_is_answered(signalling: Signalling) -> None:
    signalling.tell(Ping(number=7))
    assert await signalling.next(Pong) == Pong(number=7)


async def test_news_of_calls_that_are_over_is_nobodys(signalling: Signalling) -> None:
    signalling.tell(Over(leg="long gone", how="bye"), Ping(number=1))
    await signalling.next(Pong)


async def test_calls_end_with_signalling(signalling: Signalling) -> None:
    await signalling.answered("a")
    signalling.tell(incoming("b"))
    await signalling.next(Answer)
    signalling.writer.close()
    await signalling.over()
    endings = [
        fact.reason
        for facts in signalling.sidecar.facts.values()
        for fact in facts
        if isinstance(fact, LegEnded)
    ]
    assert endings == [Reason.BRIDGE_LOST] * 2


async def test_call_that_was_over_when_signalling_went_keeps_its_end(
    signalling: Signalling,
) -> None:
    await signalling.answered("a")
    await signalling.rooms[0].running.wait()
    signalling.tell(Over(leg="a", how="bye"))
    signalling.writer.close()
    await signalling.over()
    assert (await signalling.sidecar.ended()).reason is Reason.CALLER_HUNG_UP


async def test_nonsense_on_the_line_ends_it(signalling: Signalling) -> None:
    signalling.writer.write(b'{"type": "incoming"}\n')
    await signalling.over()


async def test_drained_process_takes_no_calls_and_ends_with_its_last_one(
    signalling: Signalling,
) -> None:
    await signalling.answered("a")
    signalling.tell(Drain(timeout_s=60), Drain(timeout_s=0), incoming("b"))
    assert await signalling.next(Refuse) == Refuse(leg="b", status_code=503)
    assert any(isinstance(each, Ready) and not each.max_calls for each in signalling.heard)
    assert not signalling.running.done()
    signalling.tell(Over(leg="a", how="bye"))
    await signalling.over()


async def test_drain_ends_what_is_left_when_its_time_is_up(signalling: Signalling) -> None:
    await signalling.answered("a")
    signalling.tell(Drain(timeout_s=0.1))
    assert await signalling.next(Bye) == Bye(leg="a")
    await signalling.over()
    assert (await signalling.sidecar.ended()).reason is Reason.BRIDGE_LOST
