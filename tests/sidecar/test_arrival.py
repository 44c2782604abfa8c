"""What it means for a web call that somebody has joined its room."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from contracts.call import CallState
from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.plan import Plan
from contracts.report import AgentJoined, ConversationStarted, Source
from sidecar.arrival import Arrivals
from sidecar.departure import Departures
from sidecar.store import calls
from sidecar.store.calls import CallRow
from tests.fakes.control_plane import ControlPlane

ROOM = "shop-room"


def arrivals(plane: ControlPlane) -> Arrivals:
    return Arrivals(plane.database, plane.calls, plane.clock)


async def ready(plane: ControlPlane, **changes: str) -> Plan:
    """Bring a web call to where its agent waits for a visitor."""
    await plane.ready()
    plan = await plane.plan(channel=Channel.WEB, media="tracks", **changes)
    await plane.claim(plan.call_id)
    await plane.report(plan.call_id, Source.AGENT, 1, AgentJoined(at=plane.clock()))
    return plan


async def come(plane: ControlPlane, plan: Plan, identity: str) -> CallRow:
    await arrivals(plane).joined("default", plan.room_name, identity)
    return await plane.row(plan.call_id)


async def test_visitor_answers_the_call_once(plane: ControlPlane) -> None:
    plan = await ready(plane)
    at = plane.clock.advance(2)
    assert plan.caller_identity == f"caller-{plan.call_id}"
    row = await come(plane, plan, plan.caller_identity)
    assert (row.state, row.answered_at) == (CallState.ANSWERED, at)
    plane.clock.advance(1)
    started = ConversationStarted(at=plane.clock())
    await plane.report(plan.call_id, Source.AGENT, 2, started)
    row = await come(plane, plan, plan.caller_identity)
    assert (row.state, row.answered_at, row.illegal_events) == (CallState.TALKING, at, 0)


async def test_agents_word_is_as_good(plane: ControlPlane) -> None:
    plan = await ready(plane)
    at = plane.clock.advance(2)
    await plane.report(plan.call_id, Source.AGENT, 2, ConversationStarted(at=at))
    row = await come(plane, plan, plan.caller_identity)
    assert (row.state, row.answered_at, row.bridge_seq) == (CallState.TALKING, at, 0)


@pytest.mark.parametrize("identity", ["supervisor", "caller-", ""])
async def test_others_are_not_the_visitor(plane: ControlPlane, identity: str) -> None:
    plan = await ready(plane)
    assert (await come(plane, plan, identity)).state is CallState.PLANNED


async def test_rooms_without_a_web_call_are_no_concern(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan(channel=Channel.SIP, media="tracks", room_name="call-1")
    await arrivals(plane).joined("default", "nowhere", plan.caller_identity)
    row = await come(plane, plan, plan.caller_identity)
    assert (row.state, row.bridge_seq) == (CallState.PLANNED, 0)


async def test_first_to_come_into_somebody_elses_room_is_the_visitor(plane: ControlPlane) -> None:
    plan = await ready(plane, room_name=ROOM)
    assert (await plane.claim(plan.call_id)).caller_identity == ""
    row = await come(plane, plan, "user-1")
    assert (row.state, row.caller_identity) == (CallState.ANSWERED, "user-1")
    row = await come(plane, plan, "user-2")
    assert row.caller_identity == "user-1"
    departures = Departures(plane.database, plane.calls, plane.losses, plane.clock)
    for identity, reason in [("user-2", None), ("user-1", Reason.CALLER_HUNG_UP)]:
        await departures.left("default", ROOM, identity, "CLIENT_INITIATED")
        assert (await plane.row(plan.call_id)).end_reason is reason


async def test_of_two_who_come_together_one_is_the_visitor(plane: ControlPlane) -> None:
    plan = await ready(plane, room_name=ROOM)
    both = {"user-1", "user-2"}
    await asyncio.gather(*(arrivals(plane).joined("default", ROOM, who) for who in both))
    row = await plane.row(plan.call_id)
    assert row.caller_identity in both
    # One answer, of one of them.
    assert (row.state, row.bridge_seq) == (CallState.ANSWERED, 1)


async def test_visitor_who_is_there_already_is_named_to_the_agent(plane: ControlPlane) -> None:
    plan = await ready(plane, room_name=ROOM, caller_identity="user-1")
    assert (await plane.claim(plan.call_id)).caller_identity == "user-1"
    assert (await come(plane, plan, "user-2")).state is CallState.PLANNED
    assert (await come(plane, plan, "user-1")).state is CallState.ANSWERED


async def test_call_that_is_being_planned_is_left_alone(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan(channel=Channel.WEB, media="tracks", room_name=ROOM)
    row = await plane.row(plan.call_id)
    async with plane.database.transaction() as connection:
        await calls.save(connection, row, replace(row, config=None))
    assert (await come(plane, plan, "user-1")).caller_identity == ""


async def test_visitor_who_never_comes_gives_the_slot_back(plane: ControlPlane) -> None:
    plan = await ready(plane)
    for _ in range(round(plane.settings.plan_expiry_s)):
        assert await plane.live() == 1
        plane.clock.advance(1)
        await plane.watch.tick()
    row = await plane.row(plan.call_id)
    assert (row.end_reason, await plane.live()) == (Reason.ABANDONED, 0)
    # Until then nothing else has ended it: the room lasts longer than its slot.
    assert plane.rooms.empty_timeouts_s[plan.room_name] > plane.settings.plan_expiry_s
