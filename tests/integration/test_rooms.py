"""`LiveKitRooms` against a real server: rooms come with their settings and go without fuss."""

from __future__ import annotations

from uuid import uuid4

import pytest
from livekit import api, rtc

from contracts.ids import caller_identity
from sidecar.rooms import LiveKitRooms, RoomRefused
from tests.integration.livekit_server import LiveKitServer


async def test_room_is_made_joined_and_deleted(livekit_server: LiveKitServer) -> None:
    server = livekit_server
    rooms = LiveKitRooms(server.url, server.key, server.secret)
    call_id = str(uuid4())
    name = f"ws-{call_id}"
    await rooms.create(name, call_id, 1)
    await rooms.create(name, call_id, 1)
    await rooms.dispatch(name, call_id, 2)
    async with api.LiveKitAPI(server.url, server.key, server.secret) as livekit:
        (listed,) = (await livekit.room.list_rooms(api.ListRoomsRequest(names=[name]))).rooms
        assert (listed.empty_timeout, listed.departure_timeout) == (20, 20)
        caller = rtc.Room()
        await caller.connect(server.url, rooms.caller_token(name, caller_identity(call_id)))
        assert caller.local_participant.identity == caller_identity(call_id)
        await caller.disconnect()
        await rooms.delete(name)
        await rooms.delete(name)
        assert not (await livekit.room.list_rooms(api.ListRoomsRequest(names=[name]))).rooms
    await rooms.aclose()


async def test_wrong_secret_is_refused(livekit_server: LiveKitServer) -> None:
    rooms = LiveKitRooms(
        livekit_server.url, livekit_server.key, "another-secret-of-32-characters!!"
    )
    with pytest.raises(RoomRefused):
        await rooms.create("ws-1", str(uuid4()), 1)
    await rooms.aclose()
