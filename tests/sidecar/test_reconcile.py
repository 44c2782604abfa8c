"""Rooms without calls and calls without rooms; on both databases."""

from __future__ import annotations

import asyncio

import pytest

from contracts.call import CallState
from contracts.outcome import Reason
from sidecar.reconcile import Reconciler
from sidecar.rooms import RoomUnavailable
from tests.fakes.control_plane import ControlPlane


@pytest.fixture
def reconciler(plane: ControlPlane) -> Reconciler:
    return Reconciler(
        plane.database,
        plane.calls,
        plane.rooms,
        plane.watch,
        clock=plane.clock,
        closing=asyncio.Event(),
    )


async def look_twice(plane: ControlPlane, reconciler: Reconciler) -> None:
    plane.clock.advance(15)
    await reconciler.look()
    plane.clock.advance(15)
    await reconciler.look()


async def test_call_in_its_room_is_left_alone(plane: ControlPlane, reconciler: Reconciler) -> None:
    await plane.ready()
    call_id = await plane.talking()
    await look_twice(plane, reconciler)
    assert (await plane.row(call_id)).state is CallState.TALKING
    assert plane.rooms.deleted == []


async def test_call_whose_room_is_gone_ends_at_the_second_look(
    plane: ControlPlane, reconciler: Reconciler
) -> None:
    await plane.ready()
    call_id = await plane.talking()
    plane.rooms.rooms.clear()
    plane.clock.advance(15)
    await reconciler.look()
    assert (await plane.row(call_id)).state is CallState.TALKING
    plane.clock.advance(15)
    await reconciler.look()
    row = await plane.row(call_id)
    assert (row.state, row.end_reason) == (CallState.ENDED, Reason.ROOM_LOST)


async def test_call_that_is_just_being_planned_has_no_room_yet(
    plane: ControlPlane, reconciler: Reconciler
) -> None:
    await plane.ready()
    plan = await plane.plan()
    plane.rooms.rooms.clear()
    for _ in range(2):
        plane.clock.advance(4)
        await reconciler.look()
    assert (await plane.row(plan.call_id)).state is CallState.PLANNED


async def test_room_that_outlived_its_call_is_deleted(
    plane: ControlPlane, reconciler: Reconciler
) -> None:
    await plane.ready()
    call_id = await plane.talking()
    await plane.end(call_id)
    await plane.watch.tick()
    room_name = (await plane.row(call_id)).room_name
    # Somebody joined once more, and LiveKit made the room anew.
    plane.rooms.rooms.add(room_name)
    await look_twice(plane, reconciler)
    assert plane.rooms.deleted == [room_name, room_name]


async def test_rooms_of_others_and_of_agents_that_wait_are_left_alone(
    plane: ControlPlane, reconciler: Reconciler
) -> None:
    waiting = "standby-11111111-92a4-4c5e-9a39-0d3c1f0a7b11"
    foreign = "ws-11111111-92a4-4c5e-9a39-0d3c1f0a7b11"
    plane.rooms.rooms |= {waiting, foreign, "meeting"}
    await look_twice(plane, reconciler)
    assert plane.rooms.deleted == []


async def test_server_that_does_not_answer_says_nothing_of_rooms(
    plane: ControlPlane, reconciler: Reconciler
) -> None:
    await plane.ready()
    call_id = await plane.talking()
    plane.rooms.rooms.clear()
    plane.clock.advance(15)
    await reconciler.look()
    plane.rooms.failure = RoomUnavailable("down")
    await reconciler.look()
    plane.rooms.failure = None
    await reconciler.look()
    assert (await plane.row(call_id)).state is CallState.TALKING


async def test_nothing_is_compared_during_recovery(
    plane: ControlPlane, reconciler: Reconciler
) -> None:
    await plane.ready()
    call_id = await plane.talking()
    plane.rooms.rooms.clear()
    plane.watch = plane.new_watch()
    await plane.watch.start()
    closing = asyncio.Event()
    closing.set()
    recovering = Reconciler(
        plane.database,
        plane.calls,
        plane.rooms,
        plane.watch,
        clock=plane.clock,
        closing=closing,
    )
    for _ in range(3):
        plane.clock.advance(15)
        await recovering.turn()
    assert (await plane.row(call_id)).state is CallState.TALKING
