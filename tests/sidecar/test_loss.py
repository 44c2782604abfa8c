"""Agents and bridges that die: another agent, or one ending; on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contracts.call import CallState
from contracts.ids import agent_identity, caller_identity
from contracts.outcome import Reason
from contracts.report import (
    AgentEnded,
    HandedOff,
    LegEnded,
    LostJob,
    Source,
    TranscriptLine,
)
from sidecar.denial import Code, Denied
from tests.fakes.control_plane import ControlPlane
from tests.sidecar.test_watch import tick

A, B = Source.AGENT, Source.BRIDGE
WORKER = "agent-1"


async def talking(plane: ControlPlane, *, cap_s: int = 600, **changes: Any) -> str:
    """Bring a call to where both sides talk, its agent on a worker that gives signs of life."""
    await plane.ready(max_call_duration_seconds=cap_s)
    plan = await plane.plan(**changes)
    await plane.claim(plan.call_id, worker_id=WORKER)
    return await plane.talk(plan.call_id)


async def lose(plane: ControlPlane, call_id: str, incarnation: int = 1) -> None:
    lost = LostJob(call_id=call_id, incarnation=incarnation, detail="killed")
    await plane.beat(lost=[lost])


async def test_lost_agent_is_replaced_with_the_history(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    line = TranscriptLine(at=plane.clock(), speaker="customer", text="I want a table.")
    await plane.report(call_id, A, 3, line)
    await lose(plane, call_id)
    room_name = (await plane.row(call_id)).room_name
    assert plane.rooms.dispatches[1:] == [(room_name, call_id, 2)]
    assert plane.rooms.removed == [(room_name, agent_identity(call_id, 1))]
    plan = await plane.claim(call_id, 2)
    assert [entry.text for entry in plan.history] == ["I want a table."]
    assert plan.answered_at is not None


async def test_lost_agent_can_report_no_more(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await lose(plane, call_id)
    late = TranscriptLine(at=plane.clock(), speaker="bot", text="Hello again.")
    with pytest.raises(Denied) as denied:
        await plane.report(call_id, A, 3, late)
    assert denied.value.code is Code.STALE_INCARNATION


async def test_second_loss_ends_the_call(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await lose(plane, call_id)
    await plane.claim(call_id, 2, WORKER)
    await lose(plane, call_id, 2)
    await tick(plane, 0)
    row = await plane.row(call_id)
    assert (row.state, row.end_reason, row.agents_lost) == (
        CallState.ENDED,
        Reason.AGENT_LOST,
        2,
    )
    result = await plane.result(call_id)
    assert result is not None
    assert result["disconnected_by"] == "error"
    assert [e["event"] for e in result["events"]].count("agent_lost") == 2


async def test_loss_told_again_is_no_second_loss(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    lost = LostJob(call_id=call_id, incarnation=1)
    beats = (plane.beat(id=f"agent-{number}", lost=[lost]) for number in (1, 2, 3))
    await asyncio.gather(*beats)
    row = await plane.row(call_id)
    assert (row.incarnation, row.agents_lost) == (2, 1)
    assert len(plane.rooms.dispatches) == 2


async def test_agent_lost_after_its_own_end_is_missed_by_nobody(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await plane.report(call_id, A, 3, AgentEnded(at=plane.clock(), reason=Reason.BOT_ENDED))
    await lose(plane, call_id)
    assert (await plane.row(call_id)).incarnation == 1


async def test_agent_lost_once_the_phone_is_gone_is_missed_by_nobody(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    gone = LegEnded(at=plane.clock(), reason=Reason.CALLER_HUNG_UP)
    await plane.report(call_id, B, 2, gone)
    await lose(plane, call_id)
    await tick(plane, 6)
    row = await plane.row(call_id)
    assert (row.end_reason, row.incarnation) == (Reason.CALLER_HUNG_UP, 1)


async def test_job_lost_before_its_claim_is_replaced_at_once(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan()
    await lose(plane, plan.call_id)
    await tick(plane, 0)
    assert plane.rooms.dispatches[1:] == [(plan.room_name, plan.call_id, 2)]
    assert (await plane.row(plan.call_id)).agents_lost == 0


async def test_replacement_nobody_claims_ends_the_call_as_lost(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await lose(plane, call_id)
    await plane.beat()
    for _ in range(4):
        await plane.beat()
        await tick(plane, 1.5)
    assert (await plane.row(call_id)).end_reason is Reason.AGENT_LOST


async def test_replacement_that_is_starting_is_given_time(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    for _ in range(20):
        await plane.beat()
        await tick(plane, 1)
    await lose(plane, call_id)
    for _ in range(4):
        await plane.beat(calls=[call_id])
        await tick(plane, 1.5)
    assert len(plane.rooms.dispatches) == 2
    await plane.claim(call_id, 2, WORKER)


async def test_call_of_a_silent_bridge_ends_when_its_agent_has_told(plane: ControlPlane) -> None:
    await plane.beat("bridge")
    call_id = await talking(plane, bridge_id="bridge-1")
    for _ in range(4):
        await plane.beat(calls=[call_id])
        await tick(plane, 1)
    row = await plane.row(call_id)
    assert (row.state, row.leg_ended) == (CallState.TALKING, True)
    assert (row.room_name, caller_identity(call_id)) in plane.rooms.removed
    ended = AgentEnded(at=plane.clock(), reason=Reason.BRIDGE_LOST)
    await plane.report(call_id, A, 3, ended)
    row = await plane.row(call_id)
    assert (row.state, row.end_reason) == (CallState.ENDED, Reason.BRIDGE_LOST)


async def test_call_handed_to_a_person_outlives_its_bot(plane: ControlPlane) -> None:
    call_id = await talking(plane, cap_s=100, key="k2")
    now = plane.clock()
    ended = AgentEnded(at=now, reason=Reason.AGENT_DESK)
    await plane.report(call_id, A, 3, HandedOff(at=now, queue="billing"), ended)
    row = await plane.row(call_id)
    assert (row.state, row.end_reason) == (CallState.ENDED, Reason.AGENT_DESK)
    await lose(plane, call_id)
    await tick(plane, 300)
    assert plane.rooms.deleted == []
    gone = LegEnded(at=plane.clock(), reason=Reason.CALLER_HUNG_UP)
    await plane.report(call_id, B, 2, gone)
    await tick(plane, 0)
    assert plane.rooms.deleted == [row.room_name]
    assert len(plane.rooms.dispatches) == 1


async def test_call_handed_to_a_person_has_its_limit_all_the_same(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    now = plane.clock()
    ended = AgentEnded(at=now, reason=Reason.AGENT_DESK)
    await plane.report(call_id, A, 3, HandedOff(at=now), ended)
    plane.clock.advance(plane.settings.max_room_s - 1)
    await plane.watch.tick()
    assert plane.rooms.deleted == []
    plane.clock.advance(1)
    await plane.watch.tick()
    assert len(plane.rooms.deleted) == 1


async def test_bot_that_never_ends_after_a_hand_over_is_ended(plane: ControlPlane) -> None:
    call_id = await talking(plane, cap_s=100, key="k2")
    await plane.report(call_id, A, 3, HandedOff(at=plane.clock()))
    await tick(plane, 300)
    assert (await plane.row(call_id)).state is CallState.TALKING


async def test_after_a_start_nothing_is_missed_until_all_have_handed_in(
    plane: ControlPlane,
) -> None:
    call_id = await talking(plane)
    plane.clock.advance(20)
    plane.watch = plane.new_watch()
    await plane.watch.start()
    plane.clock.advance(0.5)
    await plane.beat(spooled=3)
    await tick(plane, 10)
    assert (await plane.row(call_id)).incarnation == 1
    await plane.beat()
    await tick(plane, 4)
    assert (await plane.row(call_id)).incarnation == 2


async def test_recovery_waits_for_the_host_and_not_for_a_process_that_is_gone(
    plane: ControlPlane,
) -> None:
    call_id = await talking(plane)
    plane.watch = plane.new_watch()
    await plane.watch.start()
    plane.clock.advance(0.5)
    await plane.beat(id="agent-of-another-host", host="elsewhere")
    await tick(plane, 4)
    assert (await plane.row(call_id)).incarnation == 1
    await plane.beat(id="agent-2")
    await tick(plane, 1)
    assert (await plane.row(call_id)).incarnation == 2


async def test_recovery_does_not_wait_for_ever(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    plane.watch = plane.new_watch()
    await plane.watch.start()
    await tick(plane, 59)
    assert (await plane.row(call_id)).incarnation == 1
    await tick(plane, 1)
    assert (await plane.row(call_id)).incarnation == 2


async def test_call_planned_during_recovery_is_watched_at_once(plane: ControlPlane) -> None:
    await plane.ready()
    plane.watch = plane.new_watch()
    await plane.watch.start()
    plane.clock.advance(0.5)
    await plane.beat(spooled=1)
    plan = await plane.plan()
    await tick(plane, 1.5)
    assert (await plane.row(plan.call_id)).incarnation == 2


async def test_livekits_word_that_the_agent_is_gone_counts(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    row = await plane.row(call_id)
    caller = caller_identity(call_id)
    await plane.losses.participant("default", row.room_name, caller, "CONNECTION_TIMEOUT")
    assert (await plane.row(call_id)).incarnation == 1
    agent = agent_identity(call_id, 1)
    for _ in range(2):
        await plane.losses.participant("default", row.room_name, agent, "CONNECTION_TIMEOUT")
    assert (await plane.row(call_id)).incarnation == 2


async def test_call_whose_room_finished_ends_with_what_its_sides_still_tell(
    plane: ControlPlane,
) -> None:
    call_id = await talking(plane)
    row = await plane.row(call_id)
    for _ in range(2):
        await plane.losses.room("default", row.room_name)
    await plane.beat(calls=[call_id])
    await tick(plane, 3)
    assert (await plane.row(call_id)).state is CallState.TALKING
    await plane.beat(calls=[call_id])
    await tick(plane, 2)
    assert (await plane.row(call_id)).end_reason is Reason.ROOM_LOST
    await plane.losses.room("default", row.room_name)
    await plane.losses.room("default", "ws-unknown")
