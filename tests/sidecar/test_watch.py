"""What happens when nobody reports: timers kept in rows, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.call import CallState
from contracts.outcome import Reason
from contracts.report import AgentEnded, LegAnswered, LegEnded, Source, TransferStarted
from sidecar.calls import START_PATIENCE, Calls
from sidecar.clock import utc_now
from sidecar.rooms import RoomUnavailable
from sidecar.store import calls, workers
from sidecar.supervise import running
from sidecar.wake import Bells
from sidecar.watch import Watch
from tests.fakes.control_plane import START, ControlPlane

A, B = Source.AGENT, Source.BRIDGE


LOOK_S = 1.0


async def tick(plane: ControlPlane, after_s: float) -> None:
    """Let time pass for a watch that looks once a second, and at its end."""
    left_s = after_s
    while left_s > LOOK_S:
        plane.clock.advance(LOOK_S)
        left_s -= LOOK_S
        await plane.watch.tick()
    plane.clock.advance(left_s)
    await plane.watch.tick()


async def test_unclaimed_call_is_dispatched_again_as_a_new_incarnation(
    plane: ControlPlane,
) -> None:
    await plane.ready()
    plan = await plane.plan()
    await tick(plane, 1.4)
    assert len(plane.rooms.dispatches) == 1
    await tick(plane, 0.1)
    assert plane.rooms.dispatches[1:] == [(plan.room_name, plan.call_id, 2)]
    await plane.claim(plan.call_id, 2)


async def test_agent_that_is_starting_is_given_time(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan()
    for _ in range(4):
        await plane.beat(calls=[plan.call_id])
        await tick(plane, 1.5)
    assert len(plane.rooms.dispatches) == 1
    await plane.claim(plan.call_id)


async def test_agent_that_is_starting_for_too_long_is_replaced(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan()
    while len(plane.rooms.dispatches) == 1:
        await plane.beat(calls=[plan.call_id])
        await tick(plane, 1.5)
    assert plane.clock() - START >= START_PATIENCE


async def test_agent_that_died_while_starting_is_replaced_at_once(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan()
    await plane.beat(calls=[plan.call_id])
    await tick(plane, 1.5)
    await plane.beat(calls=[])
    await tick(plane, 1.5)
    assert plane.rooms.dispatches[1:] == [(plan.room_name, plan.call_id, 2)]


async def test_call_unclaimed_twice_ends_and_loses_its_room(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan()
    for _ in range(3):
        await tick(plane, 1.5)
    row = await plane.row(plan.call_id)
    assert (row.state, row.end_reason) == (CallState.ENDED, Reason.NO_AGENT)
    assert plane.rooms.rooms == set()
    assert await plane.live() == 0


async def test_claimed_call_is_left_alone(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan()
    await plane.claim(plan.call_id)
    await tick(plane, 10)
    assert len(plane.rooms.dispatches) == 1
    assert (await plane.row(plan.call_id)).incarnation == 1


async def test_dispatch_that_fails_is_no_end_yet(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan()
    plane.rooms.failure = RoomUnavailable("down")
    await tick(plane, 1.5)
    row = await plane.row(plan.call_id)
    assert (row.state, row.incarnation) == (CallState.PLANNED, 2)


async def test_leg_gone_and_agent_silent_settles(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    await plane.report(call_id, B, 2, LegEnded(at=plane.clock(), reason=Reason.CALLER_HUNG_UP))
    await tick(plane, 4.9)
    assert (await plane.row(call_id)).state is CallState.TALKING
    await tick(plane, 0.1)
    row = await plane.row(call_id)
    assert (row.state, row.end_reason) == (CallState.ENDED, Reason.CALLER_HUNG_UP)
    result = await plane.result(call_id)
    assert result is not None
    assert result["disconnected_by"] == "customer"


async def test_agent_gone_and_leg_silent_settles_sooner(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    await plane.report(call_id, A, 3, AgentEnded(at=plane.clock(), reason=Reason.PIPELINE_FAILED))
    await tick(plane, 1)
    assert (await plane.row(call_id)).end_reason is Reason.PIPELINE_FAILED
    await tick(plane, 0)
    # A machine under load takes longer than a tick waits.
    await plane.rooms.reached(deleted=1)
    assert plane.rooms.rooms == set()


async def test_transfer_gets_time_to_be_confirmed(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    now = plane.clock()
    transfer = TransferStarted(at=now, destination="100")
    await plane.report(call_id, A, 3, transfer, AgentEnded(at=now, reason=Reason.TRANSFERRED))
    await tick(plane, 10)
    assert (await plane.row(call_id)).state is CallState.TRANSFERRING
    await tick(plane, 5)
    assert (await plane.row(call_id)).state is CallState.ENDED


async def test_planned_call_nobody_hears_of_expires(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    await plane.claim(call_id)
    await tick(plane, 29)
    assert await plane.live() == 1
    await tick(plane, 1)
    assert (await plane.row(call_id)).end_reason is Reason.ABANDONED
    assert await plane.live() == 0


async def test_bridge_that_still_rings_keeps_the_slot(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    await plane.claim(call_id)
    plane.clock.advance(25)
    await plane.beat("bridge", calls=[call_id])
    await tick(plane, 25)
    assert await plane.live() == 1


async def test_answered_call_whose_sides_both_died_frees_its_slot(plane: ControlPlane) -> None:
    await plane.ready(max_call_duration_seconds=100)
    call_id = await plane.talking()
    await tick(plane, 159)
    assert await plane.live() == 1
    await tick(plane, 1)
    assert (await plane.row(call_id)).end_reason is Reason.BRIDGE_LOST


async def test_room_that_cannot_be_deleted_is_tried_again(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    await plane.end(call_id)
    plane.rooms.failure = RoomUnavailable("down")
    await tick(plane, 0)
    plane.rooms.failure = None
    await tick(plane, 4)
    assert plane.rooms.deleted == []
    await tick(plane, 1)
    assert len(plane.rooms.deleted) == 1
    await tick(plane, 60)
    assert len(plane.rooms.deleted) == 1


async def test_restart_ends_nothing_for_having_been_away(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    plane.clock.advance(3600)
    await plane.watch.start()
    await tick(plane, 59)
    assert (await plane.row(call_id)).state is CallState.PLANNED
    await tick(plane, 1)
    assert (await plane.row(call_id)).incarnation == 2


async def test_two_watchers_over_one_database_do_everything_once(plane: ControlPlane) -> None:
    await plane.ready()
    await plane.plan()
    plane.clock.advance(1.5)
    await asyncio.gather(plane.watch.tick(), plane.watch.tick(), plane.watch.tick())
    assert len(plane.rooms.dispatches) == 2


async def test_turns_act_on_time_and_on_change(plane: ControlPlane) -> None:
    bells = Bells()
    calls = Calls(
        plane.database,
        plane.folder,
        plane.settings,
        clock=utc_now,
        bells=bells,
        prefetch=plane.prefetch,
        metrics=plane.metrics,
        keyring=plane.keyring,
    )
    watch = Watch(
        plane.database,
        calls,
        plane.losses,
        plane.aftercall,
        plane.rooms,
        plane.settings,
        plane.hearing,
        clock=utc_now,
        changed=bells.timers,
    )
    plane.clock.at = utc_now()
    await plane.ready()
    call_id = (await plane.plan()).call_id
    async with asyncio.timeout(10), running({"watch": watch.turn}, bells):
        await plane.rooms.reached(dispatches=2)
        await plane.report(call_id, B, 1, LegEnded(at=utc_now(), reason=Reason.CALLER_HUNG_UP))
        bells.timers.ring()
        await plane.rooms.reached(deleted=1)


async def test_answer_moves_the_expiry_beyond_the_calls_cap(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    await plane.claim(call_id)
    await plane.report(call_id, B, 1, LegAnswered(at=plane.clock()))
    await tick(plane, 31)
    assert (await plane.row(call_id)).state is CallState.ANSWERED


async def test_start_forgets_workers_long_gone(plane: ControlPlane) -> None:
    await plane.beat()
    started = plane.clock()
    plane.clock.advance(timedelta(days=1, seconds=1).total_seconds())
    await plane.watch.start()
    async with plane.database.read() as connection:
        assert await workers.listed(connection, "default", started) == []


async def test_call_that_cannot_be_ended_does_not_hold_up_the_others(plane: ControlPlane) -> None:
    await plane.ready()
    broken, fine = await plane.plan("k1"), await plane.plan("k2")
    row = await plane.row(broken.call_id)
    async with plane.database.transaction() as connection:
        spoilt = replace(row, incarnation=2, config={"max_call_duration_seconds": "soon"})
        await calls.save(connection, row, spoilt)
    plane.clock.advance(1.5)
    with pytest.raises(ExceptionGroup):
        await plane.watch.tick()
    assert (await plane.row(fine.call_id)).incarnation == 2
