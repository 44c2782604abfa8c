"""Seats on a real server: a bridge sits beside agents that wait, and its calls begin there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

from livekit import api, rtc

from bridges.app import Bridge
from bridges.clock import Clock
from bridges.phone import Phone
from bridges.seat import Seats
from bridges.settings import Settings
from contracts.command import HangUp
from contracts.ids import caller_identity, standby_identity, standby_room
from contracts.outcome import Reason
from contracts.report import Seat
from tests.fakes.room_agent import RoomAgent
from tests.fakes.sidecar import FakeSidecar
from tests.integration.livekit_server import LiveKitServer

SPEECH = bytes(range(256)) * 50


@asynccontextmanager
async def running_bridge(server: LiveKitServer) -> AsyncIterator[tuple[Bridge, FakeSidecar]]:
    sidecar = FakeSidecar(server.url, server.key, server.secret)
    async with (
        sidecar.client() as client,
        Bridge(Settings(bridge_port=0), client, Clock()) as bridge,
    ):
        yield bridge, sidecar


@asynccontextmanager
async def waiting(sidecar: FakeSidecar, standby_id: str) -> AsyncIterator[rtc.Room]:
    """Sit in a room of one's own as an agent that waits does, and go."""
    room = rtc.Room()
    token = sidecar.token(standby_room(standby_id), standby_identity(standby_id))
    await room.connect(sidecar.seat(standby_id).livekit_url, token)
    yield room
    await room.disconnect()


async def until(happened: Callable[[], bool], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not happened():  # noqa: ASYNC110 - neither a room nor a bridge tells of everything
            await asyncio.sleep(0.02)


def seat_is_taken(room: rtc.Room, standby_id: str) -> bool:
    return caller_identity(standby_id) in room.remote_participants


async def test_call_begins_in_the_seat_its_bridge_holds(livekit_server: LiveKitServer) -> None:
    standby_id = str(uuid4())
    async with running_bridge(livekit_server) as (bridge, sidecar):
        async with waiting(sidecar, standby_id) as room:
            sidecar.seats = [sidecar.seat(standby_id)]
            await until(lambda: seat_is_taken(room, standby_id))
            (sitting,) = room.remote_participants.values()
            sid = sitting.sid
            await until(lambda: bridge.seats.held() == [standby_id])
        sidecar.standby_id = standby_id
        url = f"ws://127.0.0.1:{bridge.port}/ws/desk"
        async with Phone.call(url) as phone:
            (plan,) = await sidecar.planned()
            agent = await RoomAgent.join(sidecar, plan)
            await agent.answered.wait()
            await agent.say(1, SPEECH)
            await phone.wait_for_audio()
            seated = agent.room.remote_participants[caller_identity(standby_id)]
            assert seated.sid == sid
            await agent.leave()
        await sidecar.ended()
    (request,) = sidecar.requests
    assert (request.answered, request.seats) == (True, [standby_id])


async def test_phone_that_rings_is_planned_as_one_nobody_listens_on(
    livekit_server: LiveKitServer,
) -> None:
    async with running_bridge(livekit_server) as (bridge, sidecar):
        url = f"ws://127.0.0.1:{bridge.port}/ws/desk"
        async with Phone.call(url, ring_s=0.5):
            await sidecar.planned()
        await sidecar.ended()
    (request,) = sidecar.requests
    assert (request.answered, request.seats) == (False, [])


async def test_agent_that_waited_is_obeyed_until_a_newer_one_comes(
    livekit_server: LiveKitServer,
) -> None:
    async with running_bridge(livekit_server) as (bridge, sidecar):
        sidecar.standby_id = str(uuid4())
        url = f"ws://127.0.0.1:{bridge.port}/ws/desk"
        async with Phone.call(url) as phone:
            (plan,) = await sidecar.planned()
            first = await RoomAgent.join(sidecar, plan)
            await first.answered.wait()
            second = await RoomAgent.join(sidecar, plan, incarnation=2)
            await second.say(1, SPEECH)
            await phone.wait_for_audio()
            # The one that waited has been replaced: it cannot end the call any more.
            await first.command(HangUp(message="too late"))
            await second.command(HangUp(message="goodbye"))
            assert await phone.wait_closed() == 1000
            assert phone.hung_up == "goodbye"
            await first.leave()
            await second.leave()
        assert (await sidecar.ended()).reason is Reason.BOT_ENDED


async def test_agent_that_waits_for_another_call_is_a_stranger(
    livekit_server: LiveKitServer,
) -> None:
    async with running_bridge(livekit_server) as (bridge, sidecar):
        url = f"ws://127.0.0.1:{bridge.port}/ws/desk"
        async with Phone.call(url) as phone:
            (plan,) = await sidecar.planned()
            agent = await RoomAgent.join(sidecar, plan)
            await agent.answered.wait()
            other = plan.model_copy(update={"standby_id": str(uuid4())})
            stranger = await RoomAgent.join(sidecar, other)
            await stranger.command(HangUp(message="not yours"))
            await agent.command(HangUp(message="goodbye"))
            assert await phone.wait_closed() == 1000
            assert phone.hung_up == "goodbye"
            await stranger.leave()
            await agent.leave()
        assert (await sidecar.ended()).stats["foreign_packets"] == 1


async def test_seats_follow_what_is_wanted(livekit_server: LiveKitServer) -> None:
    server = livekit_server
    sidecar = FakeSidecar(server.url, server.key, server.secret)
    first, second = str(uuid4()), str(uuid4())
    seats = Seats()
    async with waiting(sidecar, first) as one, waiting(sidecar, second) as other:
        seats.keep([sidecar.seat(first), sidecar.seat(second)])
        seats.keep([sidecar.seat(first), sidecar.seat(second)])
        await until(lambda: len(seats.held()) == 2)
        seats.keep([sidecar.seat(second)])
        await until(lambda: not seat_is_taken(one, first))
        assert seats.held() == [second]
        assert await seats.take(first) is None
        async with api.LiveKitAPI(server.url, server.key, server.secret) as livekit:
            await livekit.room.delete_room(api.DeleteRoomRequest(room=standby_room(second)))
        await until(lambda: seats.held() == [])
        assert not other.isconnected()
    await seats.aclose()


async def test_seat_given_away_while_it_is_being_taken_is_waited_for(
    livekit_server: LiveKitServer,
) -> None:
    server = livekit_server
    sidecar = FakeSidecar(server.url, server.key, server.secret)
    standby_id = str(uuid4())
    seats = Seats()
    async with waiting(sidecar, standby_id) as room:
        seats.keep([sidecar.seat(standby_id)])
        taken = await seats.take(standby_id)
        assert taken is not None
        assert taken.isconnected()
        await until(lambda: seat_is_taken(room, standby_id))
        await taken.leave()
    await seats.aclose()


async def test_seat_that_cannot_be_taken_is_tried_again(livekit_server: LiveKitServer) -> None:
    server = livekit_server
    sidecar = FakeSidecar(server.url, server.key, server.secret)
    standby_id = str(uuid4())
    seats = Seats()
    broken = Seat(standby_id=standby_id, livekit_url=server.url, token="nonsense")
    seats.keep([broken])
    await until(lambda: seats.is_settled)
    assert seats.held() == []
    async with waiting(sidecar, standby_id) as room:
        seats.keep([sidecar.seat(standby_id)])
        await until(lambda: seat_is_taken(room, standby_id))
        await seats.aclose()
        await until(lambda: not seat_is_taken(room, standby_id))
