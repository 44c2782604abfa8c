"""Agents that wait: given to callers who listen, each to one; on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from contracts.ids import Channel, caller_identity, standby_room
from contracts.outcome import Reason
from contracts.plan import AgentPlan, Plan
from contracts.report import LegEnded, Source
from sidecar.denial import Code, Denied
from sidecar.standby import Standbys, by_preference
from sidecar.store.database import Database
from sidecar.store.standbys import StandbyRow, StandbyState
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.store.workers import WorkerRow
from sidecar.wake import Bells
from tests.fakes.control_plane import START, ControlPlane

T = DEFAULT_TENANT


def row(standby_id: str, **changes: Any) -> StandbyRow:
    given: dict[str, Any] = {
        "standby_id": standby_id,
        "tenant_id": T,
        "room_name": standby_room(standby_id),
        "state": StandbyState.READY,
        "made_at": START,
        "ready_at": START,
        **changes,
    }
    return StandbyRow(**given)


def worker(*standbys: str, calls: int = 0, max_calls: int = 2, ready: bool = True) -> WorkerRow:
    busy = [f"c{number}" for number in range(calls)]
    return WorkerRow("w", "agent", 1, ready, busy, list(standbys), max_calls, START)


def best(*ready: StandbyRow, agents: list[WorkerRow], seats: tuple[str, ...] = ()) -> list[str]:
    now = START + timedelta(seconds=10)
    return [each.standby_id for each in by_preference(ready, agents, seats, "b1", now)]


def test_own_seat_comes_first_and_another_bridges_last() -> None:
    ready = (
        row("theirs", bridge_id="b2"),
        row("nobodys", made_at=START + timedelta(seconds=1)),
        row("older", made_at=START - timedelta(seconds=1)),
        row("mine", bridge_id="b1", made_at=START + timedelta(seconds=2)),
    )
    agents = [worker("theirs", "nobodys", "older", "mine")]
    assert best(*ready, agents=agents, seats=("mine",)) == ["mine", "older", "nobodys", "theirs"]


def test_worker_with_all_its_calls_gives_none() -> None:
    assert best(row("s1"), agents=[worker("s1", calls=2)]) == []
    assert best(row("s1"), agents=[worker("s1", calls=1)]) == ["s1"]


def test_one_that_no_worker_names_in_time_is_dead() -> None:
    assert best(row("s1"), agents=[worker("other")]) == []
    assert best(row("s1"), agents=[worker("s1", ready=False)]) == []
    fresh = row("s1", ready_at=START + timedelta(seconds=9))
    assert best(fresh, agents=[]) == ["s1"]


async def called(plane: ControlPlane) -> str:
    """Let an agent be called to wait; return its id."""
    await plane.keeper.tick()
    return plane.rooms.standbys[-1]


async def waiting(plane: ControlPlane, worker_id: str = "w1") -> asyncio.Task[AgentPlan | None]:
    """Let an agent wait, and return what it waits for."""
    standby_id = await called(plane)
    armed = plane.bells.standbys.armed()
    task = asyncio.create_task(plane.standbys.wait(T, standby_id, worker_id))
    await armed.wait()
    await plane.beat(standbys=plane.rooms.standbys)
    return task


@pytest.fixture
def plane(database: Database, tmp_path: Any) -> ControlPlane:
    return ControlPlane(database, tmp_path / "recordings", standby_agents=1)


async def test_caller_who_listens_gets_the_agent_that_waits(plane: ControlPlane) -> None:
    await plane.ready()
    agent = await waiting(plane)
    (standby_id,) = plane.rooms.standbys
    plan = await plane.plan(answered=True)
    assert (plan.standby_id, plan.room_name) == (standby_id, standby_room(standby_id))
    assert plan.caller_identity == caller_identity(standby_id)
    assert "answered" in plan.token
    assert plane.rooms.dispatches == []
    handed = await agent
    assert handed is not None
    assert (handed.call_id, handed.incarnation) == (plan.call_id, 1)
    assert handed.caller_identity == plan.caller_identity
    assert not handed.is_seated
    assert handed.config.opening_message == "Hello Sam."
    claimed = await plane.claim(plan.call_id)
    assert claimed.config == handed.config


async def test_asking_again_gives_the_same_plan(plane: ControlPlane) -> None:
    await plane.ready()
    agent = await waiting(plane)
    plan = await plane.plan(answered=True)
    assert await plane.plan(answered=True) == plan
    again = await plane.standbys.wait(T, plan.standby_id, "w1")
    assert again == await agent


async def test_config_is_as_it_is_when_the_call_comes(plane: ControlPlane) -> None:
    await plane.ready()
    agent = await waiting(plane)
    await plane.add_bot(opening_message="We have moved.")
    await plane.plan(answered=True)
    handed = await agent
    assert handed is not None
    assert handed.config.opening_message == "We have moved."
    assert handed.opening_is_fixed


@pytest.mark.parametrize(
    "asked", [{}, {"answered": True, "channel": Channel.DIALOUT}], ids=["ringing", "sip"]
)
async def test_others_are_served_by_a_dispatch(plane: ControlPlane, asked: dict[str, Any]) -> None:
    await plane.ready()
    agent = await waiting(plane)
    plan = await plane.plan(**asked)
    assert (plan.standby_id, plan.caller_identity) == ("", caller_identity(plan.call_id))
    assert plane.rooms.dispatches == [(plan.room_name, plan.call_id, 1)]
    agent.cancel()


async def test_one_agent_for_two_callers_serves_one(plane: ControlPlane) -> None:
    await plane.ready()
    agent = await waiting(plane)
    plans = await asyncio.gather(*(plane.plan(f"k{n}", answered=True) for n in range(4)))
    served = [plan for plan in plans if plan.standby_id]
    assert len(served) == 1
    assert len({plan.room_name for plan in plans}) == 4
    assert len(plane.rooms.dispatches) == 3
    handed = await agent
    assert handed is not None
    assert handed.call_id == served[0].call_id


async def test_bridge_that_sits_in_the_room_is_heard_at_once(plane: ControlPlane) -> None:
    await plane.ready()
    await plane.beat("bridge", id="b1")
    agent = await waiting(plane)
    (standby_id,) = plane.rooms.standbys
    await plane.plan(answered=True, bridge_id="b1", seats=[standby_id])
    handed = await agent
    assert handed is not None
    assert handed.is_seated


async def test_refused_caller_costs_no_agent(plane: ControlPlane) -> None:
    await plane.ready(stream_token="right")
    agent = await waiting(plane)
    with pytest.raises(Denied):
        await plane.plan(answered=True, presented_token="wrong")
    plan = await plane.plan("k2", answered=True, presented_token="right")
    assert plan.standby_id
    assert await agent is not None


async def test_agent_nobody_expects_is_sent_away(plane: ControlPlane) -> None:
    with pytest.raises(Denied) as caught:
        await plane.standbys.wait(T, "unknown", "w1")
    assert caught.value.code is Code.STANDBY_GONE


async def test_second_agent_under_one_name_is_sent_away(plane: ControlPlane) -> None:
    await plane.ready()
    agent = await waiting(plane)
    with pytest.raises(Denied):
        await plane.standbys.wait(T, plane.rooms.standbys[0], "w2")
    agent.cancel()


async def test_agent_that_waits_is_told_to_ask_again_when_the_process_ends(
    plane: ControlPlane,
) -> None:
    await plane.ready()
    agent = await waiting(plane)
    plane.bells.part()
    assert await agent is None


async def test_lost_agent_is_given_to_nobody(plane: ControlPlane) -> None:
    await plane.ready()
    agent = await waiting(plane)
    agent.cancel()
    await plane.standbys.lost(T, plane.rooms.standbys[0])
    await plane.standbys.lost(T, "unknown")
    assert not (await plane.plan(answered=True)).standby_id


async def replaced(plane: ControlPlane, plan: Plan) -> None:
    plane.clock.advance(1)
    await plane.watch.tick()
    assert plane.rooms.dispatches == [(plan.room_name, plan.call_id, 2)]


async def test_claimed_agent_that_died_is_replaced_within_a_second(
    plane: ControlPlane,
) -> None:
    await plane.ready()
    agent = await waiting(plane)
    plan = await plane.plan(answered=True)
    await agent
    await replaced(plane, plan)
    # It comes back too late: nothing it does counts any more.
    with pytest.raises(Denied) as caught:
        await plane.claim(plan.call_id, 1)
    assert caught.value.code is Code.STALE_INCARNATION
    with pytest.raises(Denied):
        await plane.standbys.wait(T, plan.standby_id, "w1")
    await plane.claim(plan.call_id, 2, "w2")


async def test_death_of_one_that_waited_leaves_two_dispatches(plane: ControlPlane) -> None:
    await plane.ready()
    await waiting(plane)
    plan = await plane.plan(answered=True)
    await replaced(plane, plan)
    for _ in range(2):
        plane.clock.advance(1.5)
        await plane.watch.tick()
    assert [incarnation for *_, incarnation in plane.rooms.dispatches] == [2, 3]
    assert (await plane.row(plan.call_id)).end_reason is Reason.NO_AGENT


async def test_room_goes_with_the_call(plane: ControlPlane) -> None:
    await plane.ready()
    agent = await waiting(plane)
    plan = await plane.plan(answered=True)
    await agent
    ended = LegEnded(at=plane.clock(), reason=Reason.CALLER_HUNG_UP)
    await plane.report(plan.call_id, Source.BRIDGE, 1, ended)
    await plane.watch.tick()
    await plane.keeper.tick()
    assert plane.rooms.deleted == [plan.room_name]
    # The next one may be on its way; of this one nothing is left.
    assert plan.room_name not in plane.rooms.rooms


@pytest.mark.parametrize("migrated", ["postgres"], indirect=True)
async def test_agent_on_another_replica_is_woken(
    postgres_url: str, database: Database, tmp_path: Any
) -> None:
    here = ControlPlane(database, tmp_path, standby_agents=1)
    there = Database(postgres_url)
    bells = Bells()
    elsewhere = Standbys(there, clock=here.clock, bells=bells, keyring=here.keyring)
    listening = asyncio.create_task(
        there.listen(bells.events.ring, bells.closing, ring_standbys=bells.standbys.ring)
    )
    try:
        await here.ready()
        standby_id = await called(here)
        armed = bells.standbys.armed()
        agent = asyncio.create_task(elsewhere.wait(T, standby_id, "w1"))
        await armed.wait()
        await here.beat(standbys=[standby_id])
        plan = await here.plan(answered=True)
        assert plan.standby_id == standby_id
        async with asyncio.timeout(5):
            handed = await agent
        assert handed is not None
        assert handed.call_id == plan.call_id
    finally:
        bells.close()
        await listening
        await there.aclose()
