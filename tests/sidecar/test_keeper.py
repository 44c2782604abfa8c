"""The pool of waiting agents: filled, renewed and cleared up, by rows alone; on both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.outcome import Reason
from contracts.report import LegEnded, Source
from sidecar.clock import utc_now
from sidecar.keeper import Keeper
from sidecar.rooms import RoomUnavailable
from sidecar.store import calls, standbys
from sidecar.store.database import Database
from sidecar.store.standbys import StandbyRow, StandbyState
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.supervise import running
from sidecar.wake import Bells
from tests.fakes.control_plane import ControlPlane

T = DEFAULT_TENANT


@pytest.fixture
def plane(database: Database, tmp_path: Path) -> ControlPlane:
    return ControlPlane(database, tmp_path / "recordings", standby_agents=2, standby_max_age_s=100)


async def rows(plane: ControlPlane) -> list[StandbyRow]:
    async with plane.database.read() as connection:
        return await standbys.listed(connection, T)


async def states(plane: ControlPlane) -> list[StandbyState]:
    return [row.state for row in await rows(plane)]


async def arrive(plane: ControlPlane, worker_id: str = "w1", **beat: Any) -> None:
    """Let the agents that were called be in their rooms, by their worker's word."""
    async with plane.database.transaction() as connection:
        for row in await standbys.listed(connection, T):
            await standbys.become_ready(connection, row, worker_id, plane.clock())
    await plane.beat(standbys=plane.rooms.standbys, **beat)


async def tick(plane: ControlPlane, after_s: float = 0.0) -> None:
    plane.clock.advance(after_s)
    await plane.keeper.tick()


async def watched(plane: ControlPlane, seconds: float) -> None:
    """Let time pass, as a keeper does that is run all along."""
    for _ in range(int(seconds)):
        await tick(plane, 1.0)
    await tick(plane, seconds % 1)


async def filled(plane: ControlPlane, **beat: Any) -> None:
    for _ in range(2):
        await tick(plane)
        await arrive(plane, **beat)


async def test_pool_is_filled_one_at_a_time_and_no_further(plane: ControlPlane) -> None:
    await plane.ready()
    await tick(plane)
    await tick(plane)
    assert await states(plane) == [StandbyState.MAKING]
    await filled(plane)
    await tick(plane)
    assert await states(plane) == 2 * [StandbyState.READY]
    assert len(plane.rooms.standbys) == 2
    assert {row.room_name for row in await rows(plane)} == plane.rooms.rooms


async def test_keepers_of_several_replicas_fill_one_pool(plane: ControlPlane) -> None:
    await plane.ready()
    for _ in range(4):
        await asyncio.gather(*(plane.keeper.tick() for _ in range(4)))
        await arrive(plane)
    assert len(plane.rooms.standbys) == 2


async def test_nobody_waits_without_a_ready_worker(plane: ControlPlane) -> None:
    await tick(plane)
    await plane.beat(ready=False)
    await tick(plane)
    assert plane.rooms.standbys == []


async def test_nobody_is_called_to_wait_where_no_call_fits(plane: ControlPlane) -> None:
    await plane.add_bot()
    await plane.beat(max_calls=1)
    await filled(plane, max_calls=1)
    assert len(plane.rooms.standbys) == 1
    # Those that wait take no slot: the call gets in, and finds one of them.
    assert (await plane.plan(answered=True)).standby_id
    await tick(plane, 5)
    await arrive(plane, max_calls=1)
    assert len(plane.rooms.standbys) == 1


async def test_calls_that_begin_come_before_the_pool(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan()
    await tick(plane)
    assert plane.rooms.standbys == []
    await plane.claim(plan.call_id)
    await tick(plane)
    assert len(plane.rooms.standbys) == 1


async def test_pool_is_filled_again_once_the_call_has_begun(plane: ControlPlane) -> None:
    await plane.ready()
    await filled(plane)
    plan = await plane.plan(answered=True)
    await plane.claim(plan.call_id)
    await tick(plane, 0.9)
    assert len(plane.rooms.standbys) == 2
    await tick(plane, 0.2)
    assert len(plane.rooms.standbys) == 3


async def test_agent_that_never_comes_is_given_up(plane: ControlPlane) -> None:
    await plane.ready()
    await tick(plane)
    plane.clock.advance(30.1)
    await plane.beat()
    await tick(plane)
    assert plane.rooms.deleted == []
    await tick(plane)
    assert plane.rooms.deleted == [f"standby-{plane.rooms.standbys[0]}"]
    assert await states(plane) == [StandbyState.MAKING]


async def test_agent_is_renewed_at_its_age_limit(plane: ControlPlane) -> None:
    await plane.ready()
    await filled(plane)
    plane.clock.advance(100.1)
    await arrive(plane)
    await tick(plane)
    assert await states(plane) == [*2 * [StandbyState.GONE], StandbyState.MAKING]
    assert not (await plane.plan(answered=True)).standby_id
    await tick(plane)
    assert len(plane.rooms.deleted) == 2


async def test_agents_of_a_worker_gone_silent_are_sent_away(plane: ControlPlane) -> None:
    await plane.ready()
    await filled(plane)
    await watched(plane, 14.9)
    assert await states(plane) == 2 * [StandbyState.READY]
    await plane.beat(id="agent-2")
    assert not (await plane.plan(answered=True)).standby_id
    await tick(plane, 0.2)
    assert await states(plane) == 2 * [StandbyState.GONE]


async def test_agent_its_worker_does_not_name_is_sent_away(plane: ControlPlane) -> None:
    await plane.ready()
    await filled(plane)
    first, second = plane.rooms.standbys
    plane.clock.advance(3.1)
    await plane.beat(standbys=[second])
    await tick(plane)
    gone = [row.standby_id for row in await rows(plane) if row.state is StandbyState.GONE]
    assert gone == [first]


async def test_agents_of_a_worker_that_stops_leave_at_once(plane: ControlPlane) -> None:
    await plane.ready()
    await filled(plane)
    waiting = asyncio.create_task(plane.standbys.wait(T, plane.rooms.standbys[0], "w1"))
    await asyncio.sleep(0)
    await plane.beat(standbys=plane.rooms.standbys, ready=False)
    with pytest.raises(Exception, match="standby_gone"):
        await waiting
    assert await states(plane) == 2 * [StandbyState.GONE]


async def test_seats_are_shared_out_among_bridges(plane: ControlPlane) -> None:
    await plane.ready()
    for bridge in ("b1", "b2"):
        assert (await plane.beat("bridge", id=bridge)).seats == []
    await filled(plane)
    await tick(plane)
    offered = [(await plane.beat("bridge", id=bridge)).seats for bridge in ("b1", "b2")]
    assert [len(seats) for seats in offered] == [1, 1]
    assert {seat.standby_id for (seat,) in offered} == set(plane.rooms.standbys)
    (seat,) = offered[0]
    assert seat.token == f"token for caller-{seat.standby_id} in standby-{seat.standby_id}"


async def test_agent_beside_a_bridge_that_is_gone_is_sent_away(plane: ControlPlane) -> None:
    await watched(plane, 3.1)
    await plane.ready()
    await plane.beat("bridge", id="b1")
    await filled(plane)
    await tick(plane)
    await plane.beat("bridge", id="b1", ready=False)
    await tick(plane)
    assert await states(plane) == 2 * [StandbyState.GONE]


async def test_worker_is_told_which_call_its_agent_serves(plane: ControlPlane) -> None:
    await plane.ready()
    await filled(plane)
    plan = await plane.plan(answered=True)
    receipt = await plane.beat(standbys=plane.rooms.standbys)
    assert receipt.calls == {plan.standby_id: plan.call_id}


async def test_livekit_that_fails_is_asked_again_after_a_pause(plane: ControlPlane) -> None:
    await plane.ready()
    plane.rooms.failure = RoomUnavailable("down")
    await tick(plane)
    await tick(plane, 1)
    assert await states(plane) == [StandbyState.GONE]
    await tick(plane, 4)
    plane.rooms.failure = None
    await plane.beat()
    await tick(plane, 1)
    assert plane.rooms.standbys == []
    await tick(plane, 4)
    await plane.beat()
    await tick(plane)
    assert len(plane.rooms.standbys) == 1


async def test_agent_of_a_call_that_was_taken_back_leaves_no_room(plane: ControlPlane) -> None:
    await plane.ready()
    await filled(plane)
    plan = await plane.plan(answered=True)
    async with plane.database.transaction() as connection:
        await calls.discard(connection, await plane.row(plan.call_id))
    await tick(plane)
    await tick(plane)
    assert plane.rooms.deleted == [plan.room_name]


async def test_row_goes_when_its_call_has_ended(plane: ControlPlane) -> None:
    await plane.ready()
    await filled(plane)
    plan = await plane.plan(answered=True)
    ended = LegEnded(at=plane.clock(), reason=Reason.CALLER_HUNG_UP)
    await plane.report(plan.call_id, Source.BRIDGE, 1, ended)
    await tick(plane)
    assert plan.standby_id not in [row.standby_id for row in await rows(plane)]


async def test_pool_that_is_switched_off_is_cleared(
    plane: ControlPlane, database: Database, tmp_path: Path
) -> None:
    await plane.ready()
    await filled(plane)
    without = ControlPlane(database, tmp_path, standby_agents=0)
    without.rooms.rooms = set(plane.rooms.rooms)
    await without.keeper.tick()
    await without.keeper.tick()
    assert without.rooms.rooms == set()
    assert await rows(plane) == []


async def test_agents_of_before_a_restart_are_adopted(
    plane: ControlPlane, database: Database, tmp_path: Path
) -> None:
    await plane.ready()
    await filled(plane)
    again = ControlPlane(database, tmp_path, standby_agents=2)
    await again.beat(standbys=plane.rooms.standbys)
    await again.keeper.tick()
    assert again.rooms.standbys == []
    asked = asyncio.create_task(again.standbys.wait(T, plane.rooms.standbys[0], "w1"))
    plan = await again.plan(answered=True)
    assert plan.standby_id == plane.rooms.standbys[0]
    handed = await asked
    assert handed is not None
    assert handed.call_id == plan.call_id


async def test_nobody_is_sent_away_for_what_was_not_heard_while_the_sidecar_was_away(
    plane: ControlPlane, database: Database, tmp_path: Path
) -> None:
    await plane.ready()
    await plane.beat("bridge", id="b1")
    await filled(plane)
    await tick(plane)
    again = ControlPlane(database, tmp_path, standby_agents=2)
    again.clock.at = plane.clock()
    again.clock.advance(20)
    again.keeper = again.new_keeper()
    await again.keeper.tick()
    assert await states(again) == 2 * [StandbyState.READY]
    await watched(again, 2.9)
    assert await states(again) == 2 * [StandbyState.READY]
    await again.beat("bridge", id="b1")
    await watched(again, 2.0)
    assert await states(again) == 2 * [StandbyState.READY]
    # The worker does not come back.
    for _ in range(11):
        await again.beat("bridge", id="b1")
        await tick(again, 1.0)
    assert await states(again) == 2 * [StandbyState.GONE]


async def test_turns_act_on_change(plane: ControlPlane) -> None:
    bells = Bells()
    keeper = Keeper(
        plane.database, plane.rooms, plane.settings,
        clock=utc_now, new_id=lambda: "0" * 36, bells=bells,
    )  # fmt: skip
    plane.clock.at = utc_now()
    await plane.ready()
    async with asyncio.timeout(10), running({"keep": keeper.turn}, bells):
        await plane.rooms.reached(standbys=1)
