"""Calls of browsers: a token once the agent is there, and nothing left where it is not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.ids import Channel, standby_room
from contracts.outcome import Reason
from contracts.plan import AgentPlan
from contracts.report import AgentEnded, AgentJoined, LegAnswered, Source
from sidecar.app import new_id
from sidecar.denial import Code, Denied
from sidecar.rooms import Attendance, RoomUnavailable
from sidecar.store import calls, deliveries
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.web_call import Entry, Visit, WebCalls
from tests.fakes.control_plane import ControlPlane

NEVER = {"active_hours": {"enabled": True, "days": []}}
VISIT = Visit(bot_id="desk", metadata={"customer_name": "Sam"})


def web_calls(plane: ControlPlane) -> WebCalls:
    return WebCalls(
        plane.database,
        plane.planner,
        plane.calls,
        plane.rooms,
        plane.settings,
        bells=plane.bells,
        new_id=new_id,
    )


def made(database: Database, tmp_path: Path, **settings: Any) -> ControlPlane:
    return ControlPlane(database, tmp_path / "recordings", **settings)


@pytest.fixture
def hasty(database: Database, tmp_path: Path) -> ControlPlane:
    """A control plane that gives agents no time."""
    return made(database, tmp_path, web_join_timeout_s=0.05)


async def join(plane: ControlPlane, call_id: str) -> AgentPlan:
    """Let the call's agent come."""
    plan: AgentPlan = await plane.claim(call_id)
    await plane.report(call_id, Source.AGENT, 1, AgentJoined(at=plane.clock()))
    return plan


async def opened(plane: ControlPlane, visit: Visit = VISIT) -> tuple[Entry, AgentPlan]:
    asking = asyncio.create_task(web_calls(plane).open("default", visit))
    await plane.rooms.reached(dispatches=1)
    (_, call_id, _) = plane.rooms.dispatches[-1]
    assert not asking.done()
    plan = await join(plane, call_id)
    return await asking, plan


async def refused(plane: ControlPlane, visit: Visit = VISIT) -> Denied:
    with pytest.raises(Denied) as caught:
        await web_calls(plane).open("default", visit)
    return caught.value


async def only(plane: ControlPlane) -> CallRow:
    async with plane.database.read() as connection:
        (row,) = await calls.page(connection, "default")
    return row


async def test_token_is_given_once_the_agent_is_there(plane: ControlPlane) -> None:
    await plane.ready()
    entry, plan = await opened(plane)
    assert entry.room_name == f"web-{entry.call_id}"
    assert (
        entry.token
        == f"token for caller-{entry.call_id} in {entry.room_name}, who speaks, for 300 s"
    )
    assert entry.server_url == plane.settings.livekit_url
    assert (plan.channel, plan.media, plan.media_rate_hz) == (Channel.WEB, "tracks", 24_000)
    assert (plan.text_only, plan.answered_at, plan.is_seated) == (False, None, False)
    assert plan.caller_identity == f"caller-{entry.call_id}"
    assert plan.config.opening_message == "Hello Sam."
    assert plan.variables["call.caller_id"] == "widget-user"


async def test_visitor_may_type(plane: ControlPlane) -> None:
    await plane.ready()
    entry, plan = await opened(plane, Visit(bot_id="desk", text_only=True))
    assert "who types" in entry.token
    assert plan.text_only


async def test_browsers_are_told_their_own_way_to_livekit(
    database: Database, tmp_path: Path
) -> None:
    plane = made(database, tmp_path, livekit_public_url="wss://voice.example", web_token_ttl_s=60)
    await plane.ready()
    entry, _ = await opened(plane)
    assert (entry.server_url, entry.token.endswith("for 60 s")) == ("wss://voice.example", True)


async def test_agent_that_waits_takes_the_call_under_a_name_no_bridge_has(
    database: Database, tmp_path: Path
) -> None:
    plane = made(database, tmp_path, standby_agents=1)
    await plane.ready()
    await plane.keeper.tick()
    (standby_id,) = plane.rooms.standbys
    armed = plane.bells.standbys.armed()
    agent = asyncio.create_task(plane.standbys.wait("default", standby_id, "w1"))
    await armed.wait()
    await plane.beat(standbys=[standby_id])
    await plane.beat("bridge", id="b1")
    await plane.keeper.tick()
    (seat,) = (await plane.beat("bridge", id="b1")).seats
    asking = asyncio.create_task(web_calls(plane).open("default", VISIT))
    plan = await agent
    assert plan is not None
    await join(plane, plan.call_id)
    entry = await asking
    assert (entry.room_name, plane.rooms.dispatches) == (standby_room(standby_id), [])
    assert plan.caller_identity == f"caller-{plan.call_id}"
    assert plan.caller_identity not in seat.token
    assert (plan.answered_at, plan.is_seated) == (None, False)
    assert (await plane.beat("bridge", id="b1")).seats == []


async def test_agent_that_never_joins_leaves_no_slot(hasty: ControlPlane) -> None:
    await hasty.ready()
    refusal = await refused(hasty)
    assert (refusal.code, refusal.retry_after_s) == (Code.NO_AGENT, 2)
    row = await only(hasty)
    assert (row.end_reason, await hasty.live()) == (Reason.NO_AGENT, 0)
    result = await hasty.result(row.call_id)
    assert result is not None
    assert result["disconnected_by"] == "error"
    await hasty.watch.tick()
    assert hasty.rooms.deleted == [row.room_name]


async def test_agent_that_claimed_the_call_and_hangs_leaves_no_slot(
    database: Database, tmp_path: Path
) -> None:
    plane = made(database, tmp_path, web_join_timeout_s=0.3)
    await plane.ready()
    asking = asyncio.create_task(web_calls(plane).open("default", VISIT))
    await plane.rooms.reached(dispatches=1)
    (_, call_id, _) = plane.rooms.dispatches[-1]
    await plane.claim(call_id)
    await plane.calls.note("default", call_id, LegAnswered(at=plane.clock()))
    with pytest.raises(Denied):
        await asking
    assert await plane.live() == 0


async def test_agent_that_cannot_serve_the_bot_is_not_waited_for(plane: ControlPlane) -> None:
    await plane.ready()
    asking = asyncio.create_task(web_calls(plane).open("default", VISIT))
    await plane.rooms.reached(dispatches=1)
    (_, call_id, _) = plane.rooms.dispatches[-1]
    await plane.claim(call_id)
    over = AgentEnded(at=plane.clock(), reason=Reason.CONFIG_INVALID, detail="no such voice")
    await plane.report(call_id, Source.AGENT, 1, over)
    with pytest.raises(Denied) as caught:
        await asking
    row = await only(plane)
    assert (caught.value.code, row.end_reason) == (Code.NO_AGENT, Reason.CONFIG_INVALID)
    assert await plane.live() == 0


async def test_call_that_ends_while_its_agent_is_waited_for_stays_as_it_ended(
    plane: ControlPlane,
) -> None:
    await plane.ready()
    asking = asyncio.create_task(web_calls(plane).open("default", VISIT))
    await plane.rooms.reached(dispatches=1)
    assert await plane.calls.finish(await only(plane), Reason.ROOM_LOST)
    with pytest.raises(Denied) as caught:
        await asking
    assert (caught.value.code, (await only(plane)).end_reason) == (Code.NO_AGENT, Reason.ROOM_LOST)


async def test_process_that_ends_keeps_nobody_waiting(plane: ControlPlane) -> None:
    await plane.ready()
    plane.bells.part()
    assert (await refused(plane)).code is Code.NO_AGENT
    assert await plane.live() == 0


async def test_closed_bot_is_an_error_by_contract(plane: ControlPlane) -> None:
    await plane.ready(**NEVER)
    assert (await refused(plane)).code is Code.OUTSIDE_HOURS
    row = await only(plane)
    assert (row.end_reason, await plane.live()) == (Reason.CLOSED_TO_VISITORS, 0)
    async with plane.database.read() as connection:
        (delivery,) = await deliveries.page(connection, "default")
    assert '"disconnected_by":"error"' in delivery.body


async def test_full_house_and_unknown_bots_leave_nothing(plane: ControlPlane) -> None:
    await plane.add_bot()
    assert (await refused(plane)).code is Code.NO_AGENT
    await plane.beat(max_calls=1)
    assert (await refused(plane, Visit(bot_id="other"))).code is Code.BOT_UNKNOWN
    await plane.plan()
    assert (await refused(plane)).code is Code.AT_CAPACITY
    assert await plane.live() == 1


async def test_crowd_of_browsers_leaves_the_telephone_free(
    database: Database, tmp_path: Path
) -> None:
    plane = made(database, tmp_path, web_max_calls=1)
    await plane.ready()
    await opened(plane)
    assert (await refused(plane)).code is Code.AT_CAPACITY
    await plane.plan("phone")


async def test_crm_is_waited_for_no_longer_than_by_a_caller_who_listens(
    plane: ControlPlane,
) -> None:
    await plane.ready(crm_prefetch={"url": "https://crm.example/"})
    plan = await plane.plan(channel=Channel.WEB, media="tracks")
    due_at = (await plane.row(plan.call_id)).prefetch_due_at
    assert due_at is not None
    assert (due_at - plane.clock()).total_seconds() == 1


async def test_bot_comes_to_a_visitor_in_a_room_of_theirs(plane: ControlPlane) -> None:
    await plane.ready()
    plane.rooms.attendances["shop"] = Attendance(("user-1",))
    call_id = await web_calls(plane).join("default", "desk", "shop", "u-7")
    await plane.rooms.reached(dispatches=1)
    assert (plane.rooms.rooms, plane.rooms.dispatches) == (set(), [("shop", call_id, 1)])
    plan = await plane.claim(call_id)
    assert (plan.caller_identity, plan.variables["call.caller_id"]) == ("user-1", "u-7")
    with pytest.raises(Denied) as caught:
        await web_calls(plane).join("default", "other", "shop", "u-8")
    assert caught.value.code is Code.KEY_REUSED


async def test_visitor_may_come_later(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await web_calls(plane).join("default", "desk", "shop", "widget-user")
    await plane.rooms.reached(dispatches=1)
    assert (await plane.claim(call_id)).caller_identity == ""


@pytest.mark.parametrize(
    ("bot", "reason"), [("other", Reason.BOT_UNKNOWN), ("desk", Reason.CLOSED_TO_VISITORS)]
)
async def test_bot_that_does_not_come_is_told_by_the_result(
    plane: ControlPlane, bot: str, reason: Reason
) -> None:
    await plane.ready(**NEVER)
    call_id = await web_calls(plane).join("default", bot, "shop", "widget-user")
    await plane.planner.aclose()
    row = await plane.row(call_id)
    assert (row.end_reason, await plane.live(), plane.rooms.dispatches) == (reason, 0, [])


async def test_full_house_refuses_a_visit_before_anything_happens(plane: ControlPlane) -> None:
    await plane.add_bot()
    await plane.beat(max_calls=0)
    with pytest.raises(Denied) as caught:
        await web_calls(plane).join("default", "desk", "shop", "widget-user")
    assert caught.value.code is Code.AT_CAPACITY
    plane.rooms.failure = RoomUnavailable("down")
    with pytest.raises(Denied) as caught:
        await web_calls(plane).join("default", "desk", "shop", "widget-user")
    assert caught.value.code is Code.ROOM_UNAVAILABLE
    async with plane.database.read() as connection:
        assert await calls.page(connection, "default") == []
