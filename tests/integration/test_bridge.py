"""A bridge between real ends: a phone on its WebSocket, an agent in a room of a real LiveKit."""

from __future__ import annotations

import array
import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from livekit import api
from websockets.asyncio.client import connect

from bridges.app import Bridge
from bridges.clock import Clock
from bridges.exotel_softphone import ExotelSoftphone
from bridges.phone import Phone
from bridges.settings import Settings
from contracts.command import HangUp, Transfer
from contracts.ids import COMMAND_TOPIC, MEDIA_TOPIC
from contracts.media import Clear, Finished, Heard, Pause, Resume, Speech
from contracts.outcome import Reason
from tests.fakes.room_agent import RoomAgent
from tests.fakes.sidecar import FakeSidecar
from tests.integration.livekit_server import LiveKitServer

RATE_HZ = 8000


def tone(seconds: float, frequency_hz: int = 440) -> bytes:
    count = int(seconds * RATE_HZ)
    step = 2 * math.pi * frequency_hz / RATE_HZ
    return array.array("h", (int(9000 * math.sin(step * n)) for n in range(count))).tobytes()


@dataclass
class Call:
    """A call under way."""

    bridge: Bridge
    sidecar: FakeSidecar
    phone: Any
    agent: RoomAgent


@dataclass(frozen=True)
class Door:
    """Where a phone calls, and which phone it is."""

    path: str
    phone: Callable[..., AbstractAsyncContextManager[Any]]


DIALLER = Door("/ws/desk", Phone.call)
EXOTEL = Door("/exotel/desk", ExotelSoftphone.call)
both_doors = pytest.mark.parametrize("door", [DIALLER, EXOTEL], ids=["dialler", "exotel"])


@asynccontextmanager
async def running_bridge(
    livekit_server: LiveKitServer, **settings: Any
) -> AsyncIterator[tuple[Bridge, FakeSidecar]]:
    sidecar = FakeSidecar(livekit_server.url, livekit_server.key, livekit_server.secret)
    async with (
        sidecar.client() as client,
        Bridge(Settings(bridge_port=0, **settings), client, Clock()) as bridge,
    ):
        yield bridge, sidecar


@asynccontextmanager
async def call(
    livekit_server: LiveKitServer, door: Door = DIALLER, **phone: Any
) -> AsyncIterator[Call]:
    async with running_bridge(livekit_server) as (bridge, sidecar):
        url = f"ws://127.0.0.1:{bridge.port}{door.path}"
        async with asyncio.timeout(30), door.phone(url, **phone) as caller:
            (plan,) = await sidecar.planned()
            agent = await RoomAgent.join(sidecar, plan)
            await agent.answered.wait()
            yield Call(bridge, sidecar, caller, agent)
            await agent.leave()
        await sidecar.ended()


async def until(predicate: Callable[[], bool], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not predicate():  # noqa: ASYNC110 - a phone has no event for everything
            await asyncio.sleep(0.01)


@both_doors
async def test_caller_is_heard_with_a_clock(livekit_server: LiveKitServer, door: Door) -> None:
    async with call(livekit_server, door, stream_id="stream-9") as live:
        said = tone(0.5)
        await live.phone.say(said)
        await live.agent.until(lambda: said in live.agent.heard_pcm())

        clock = [packet.at_ms for packet in live.agent.heard]
        assert clock == sorted(clock)
        sizes = {len(packet.pcm) for packet in live.agent.heard}
        assert (640 if door is DIALLER else 1600) in sizes

    ended = await live.sidecar.ended()
    assert ended.reason is Reason.CALLER_HUNG_UP
    assert ended.stats["heard_bytes"] >= len(said)
    (plan,) = live.sidecar.plans.values()
    assert live.sidecar.names(plan.call_id) == ["leg_started", "leg_answered", "leg_ended"]
    assert live.sidecar.requests[0].stream_id == "stream-9"


@both_doors
async def test_last_words_before_the_hangup_reach_the_agent(
    livekit_server: LiveKitServer, door: Door
) -> None:
    async with call(livekit_server, door) as live:
        said = tone(0.61)
        await live.phone.say(said)
        await live.phone.hang_up()
        await live.agent.until(live.agent.caller_left.is_set)

        assert said in live.agent.heard_pcm()


@both_doors
async def test_bot_is_heard_in_real_time_and_positions_are_exact(
    livekit_server: LiveKitServer, door: Door
) -> None:
    async with call(livekit_server, door) as live:
        said = tone(1.0)
        began_s = live.phone.now_s
        await live.agent.say(1, said)
        await live.agent.until(lambda: bool(live.agent.finished))

        assert live.agent.finished == [Finished(1, RATE_HZ, interrupted=False)]
        assert live.phone.now_s - began_s >= 1.0
        assert said in live.phone.received
        (span,) = live.phone.bot_audio_segments()
        assert span.end_s - span.start_s == pytest.approx(1.0, abs=0.3)
        positions = [packet.played_samples for packet in live.agent.heard if packet.segment == 1]
        assert positions == sorted(positions)


async def test_clear_silences_the_phone_and_tells_how_much_was_heard(
    livekit_server: LiveKitServer,
) -> None:
    async with call(livekit_server) as live:
        await live.agent.say(1, tone(5.0))
        await live.phone.wait_for_audio()
        await until(lambda: live.phone.chunks >= 25)

        await live.agent.send(Clear(1))
        await live.agent.until(lambda: bool(live.agent.finished))
        chunks = live.phone.chunks
        await live.agent.say(2, tone(0.1, 800))
        await live.agent.until(lambda: len(live.agent.finished) == 2)

        first, second = live.agent.finished
        assert (first.segment, first.interrupted) == (1, True)
        assert first.played_samples == chunks * 160
        assert second == Finished(2, 800, interrupted=False)
        assert live.phone.chunks == chunks + 5
        assert tone(0.1, 800) in live.phone.received


async def test_pause_holds_the_rest_and_resume_plays_all_of_it(
    livekit_server: LiveKitServer,
) -> None:
    async with call(livekit_server) as live:
        await live.agent.say(1, tone(1.0))
        await until(lambda: live.phone.chunks >= 10)

        await live.agent.send(Pause())
        await asyncio.sleep(0.3)
        paused_at = live.phone.chunks
        await asyncio.sleep(0.2)
        assert live.phone.chunks == paused_at

        await live.agent.send(Resume())
        await live.agent.until(lambda: bool(live.agent.finished))
        assert live.agent.finished == [Finished(1, RATE_HZ, interrupted=False)]
        assert live.phone.chunks == 50
        assert len(live.phone.bot_audio_segments()) == 2


async def test_echo_comes_back_whole(livekit_server: LiveKitServer) -> None:
    async with call(livekit_server) as live:
        echoing = asyncio.create_task(live.agent.echo())
        said = tone(0.4)
        await live.phone.say(said)
        await until(lambda: said in live.phone.received)
        echoing.cancel()


async def test_bot_speaks_only_after_answer(livekit_server: LiveKitServer) -> None:
    async with running_bridge(livekit_server) as (bridge, sidecar):

        async def join_early() -> RoomAgent:
            (plan,) = await sidecar.planned()
            agent = await RoomAgent.join(sidecar, plan)
            assert not agent.answered.is_set()
            await agent.say(1, tone(0.2))
            return agent

        joining = asyncio.create_task(join_early())
        url = f"ws://127.0.0.1:{bridge.port}/ws/desk"
        async with asyncio.timeout(20), Phone.call(url, ring_s=1.5) as phone:
            agent = await joining
            first_audio_s = await phone.wait_for_audio()
            assert 0.0 < first_audio_s < 0.5
            await agent.until(lambda: bool(agent.finished))
            assert tone(0.2) in phone.received
            await agent.leave()


@both_doors
async def test_bot_hangs_up(livekit_server: LiveKitServer, door: Door) -> None:
    async with call(livekit_server, door) as live:
        await live.agent.say(1, tone(0.2))
        await live.agent.until(lambda: bool(live.agent.finished))
        await live.agent.command(HangUp(message="Goodbye"))

        assert await live.phone.wait_closed() == 1000
        assert live.phone.close_reason == "Goodbye"
        await live.agent.caller_left.wait()
        ended = await live.sidecar.ended()

    assert (ended.reason, ended.detail) == (Reason.BOT_ENDED, "Goodbye")


async def test_bot_transfers_and_the_dialler_takes_over(livekit_server: LiveKitServer) -> None:
    async with call(livekit_server) as live:
        await live.agent.command(Transfer(to="+10000000003", target="billing", reason="asked"))
        await until(lambda: live.phone.transfer is not None)
        assert live.phone.transfer is not None
        assert (live.phone.transfer.to, live.phone.transfer.target) == ("+10000000003", "billing")
        assert live.phone.hung_up is None

    ended = await live.sidecar.ended()
    assert ended.reason is Reason.TRANSFERRED
    (facts,) = live.sidecar.facts.values()
    assert [fact.type for fact in facts][-2:] == ["transfer_sent", "leg_ended"]


async def test_newer_agent_takes_over_and_the_older_is_ignored(
    livekit_server: LiveKitServer,
) -> None:
    async with call(livekit_server) as live:
        await live.agent.say(7, tone(5.0))
        await until(lambda: live.phone.chunks >= 10)
        (plan,) = live.sidecar.plans.values()
        successor = await RoomAgent.join(live.sidecar, plan, incarnation=2)
        await successor.until(lambda: bool(successor.heard))
        chunks = live.phone.chunks

        await live.agent.say(8, tone(1.0))
        await live.agent.command(HangUp())
        await successor.say(1, tone(0.2, 800))
        await successor.until(lambda: bool(successor.finished))

        assert successor.finished == [Finished(1, 1600, interrupted=False)]
        assert live.phone.chunks <= chunks + 11
        assert live.phone.is_open
        await successor.leave()


async def test_agent_that_leaves_and_stays_away_ends_the_call(
    livekit_server: LiveKitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridges.room_leg.AGENT_RETURN_TIMEOUT_S", 0.2)
    async with call(livekit_server) as live:
        await live.agent.leave()

        assert await live.phone.wait_closed() == 1011
        assert live.phone.hung_up == "the agent left"
    assert (await live.sidecar.ended()).reason is Reason.AGENT_LOST


async def test_room_deleted_before_an_agent_came_ends_the_call(
    livekit_server: LiveKitServer,
) -> None:
    async with running_bridge(livekit_server) as (bridge, sidecar):
        url = f"ws://127.0.0.1:{bridge.port}/ws/desk"
        async with asyncio.timeout(20), Phone.call(url) as phone:
            (plan,) = await sidecar.planned()
            http_url = livekit_server.url.replace("ws", "http", 1)
            async with api.LiveKitAPI(
                http_url, livekit_server.key, livekit_server.secret
            ) as livekit:
                await delete_once_joined(livekit, plan.room_name)

            assert await phone.wait_closed() == 1013
        assert (await sidecar.ended()).reason is Reason.NO_AGENT


async def delete_once_joined(livekit: api.LiveKitAPI, room: str) -> None:
    async with asyncio.timeout(10):
        while True:
            listed = await livekit.room.list_participants(api.ListParticipantsRequest(room=room))
            if any(one.state == api.ParticipantInfo.ACTIVE for one in listed.participants):
                break
            await asyncio.sleep(0.05)
    await livekit.room.delete_room(api.DeleteRoomRequest(room=room))


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.06])
async def test_caller_who_leaves_during_the_join_leaves_nobody_behind(
    livekit_server: LiveKitServer, after_s: float
) -> None:
    async with running_bridge(livekit_server) as (bridge, sidecar):
        url = f"ws://127.0.0.1:{bridge.port}/ws/desk"
        async with connect(url) as peer:
            await peer.send('{"event":"connected","callerId":"1"}')
            (plan,) = await sidecar.planned()
            await asyncio.sleep(after_s)
        assert (await sidecar.ended()).reason is Reason.CALLER_DISCONNECTED

        http_url = livekit_server.url.replace("ws", "http", 1)
        async with api.LiveKitAPI(http_url, livekit_server.key, livekit_server.secret) as livekit:
            await asyncio.sleep(0.5)  # long enough for a join that was let go to complete
            seats = await livekit.room.list_participants(
                api.ListParticipantsRequest(room=plan.room_name)
            )
            assert not seats.participants


async def test_junk_of_the_agent_and_strangers_changes_nothing(
    livekit_server: LiveKitServer,
) -> None:
    async with call(livekit_server) as live:
        (plan,) = live.sidecar.plans.values()
        stranger = RoomAgent(plan)
        stranger.identity = "stranger"
        token = live.sidecar.token(plan.room_name, "stranger")
        await stranger.room.connect(plan.livekit_url, token)
        await stranger.say(1, tone(0.5))
        await stranger.command(HangUp())
        await live.agent.send_bytes(b"\xff", MEDIA_TOPIC)
        await live.agent.send_bytes(b"{}", COMMAND_TOPIC)
        await live.agent.say(1, tone(0.1))
        await live.agent.until(lambda: bool(live.agent.finished))

        assert live.phone.chunks == 5
        await stranger.leave()

    stats = (await live.sidecar.ended()).stats
    assert (stats["bad_packets"], stats["foreign_packets"] > 0) == (2, True)


@both_doors
async def test_unreachable_room_ends_the_call(livekit_server: LiveKitServer, door: Door) -> None:
    async with running_bridge(livekit_server) as (bridge, sidecar):
        sidecar._livekit_url = "ws://127.0.0.1:9"
        url = f"ws://127.0.0.1:{bridge.port}{door.path}"
        async with door.phone(url) as phone:
            assert await phone.wait_closed(20.0) == 1011
        assert (await sidecar.ended()).reason is Reason.ROOM_LOST


async def test_two_calls_keep_apart(livekit_server: LiveKitServer) -> None:
    async with running_bridge(livekit_server) as (bridge, sidecar):
        url = f"ws://127.0.0.1:{bridge.port}/ws/desk"

        async def converse(frequency_hz: int) -> bytearray:
            said = tone(0.5, frequency_hz)
            async with Phone.call(url, caller_id=str(frequency_hz)) as phone:
                await until(lambda: any(r.caller_id == str(frequency_hz) for r in sidecar.requests))
                plans = await sidecar.planned(2)
                index = [r.caller_id for r in sidecar.requests].index(str(frequency_hz))
                agent = await RoomAgent.join(sidecar, plans[index])
                echoing = asyncio.create_task(agent.echo())
                await agent.answered.wait()
                await phone.say(said)
                await until(lambda: said in phone.received)
                echoing.cancel()
                await agent.leave()
                return phone.received

        low, high = await asyncio.gather(converse(440), converse(800))
        assert tone(0.5, 800) not in low
        assert tone(0.5, 440) not in high


async def test_caller_audio_before_the_agent_is_not_lost(livekit_server: LiveKitServer) -> None:
    async with running_bridge(livekit_server) as (bridge, sidecar):
        url = f"ws://127.0.0.1:{bridge.port}/ws/desk"
        async with asyncio.timeout(20), Phone.call(url) as phone:
            said = tone(0.3)
            await phone.say(said)
            (plan,) = await sidecar.planned()
            agent = await RoomAgent.join(sidecar, plan)
            await agent.until(lambda: said in agent.heard_pcm())
            assert isinstance(agent.heard[0], Heard)
            await agent.send(Speech(1, b""))
            await agent.leave()
