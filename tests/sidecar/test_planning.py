"""Planning: one slot per call, one call per key, refusals that leave nothing; on both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.trunk import Trunk
from sidecar.denial import Code, Denied
from sidecar.rooms import RoomUnavailable
from sidecar.store import calls, deliveries, events, numbers, trunks
from sidecar.store.database import Database
from sidecar.store.numbers import NumberRow
from sidecar.store.trunks import TrunkRow
from tests.fakes.control_plane import START, ControlPlane

CLOSED = {"active_hours": {"enabled": True, "days": []}}


async def denied(plane: ControlPlane, **changes: Any) -> Denied:
    with pytest.raises(Denied) as caught:
        await plane.plan(**changes)
    return caught.value


async def test_plan_makes_a_room_with_an_agent_called_to_it(plane: ControlPlane) -> None:
    await plane.ready(max_call_duration_seconds=90, stream_message_ms=200)
    plan = await plane.plan()
    assert plane.rooms.dispatches == [(plan.room_name, plan.call_id, 1)]
    assert plan.room_name == f"ws-{plan.call_id}"
    assert plan.session_id == plan.call_id
    assert (plan.max_call_duration_s, plan.stream_message_ms) == (90, 200)
    assert await plane.live() == 1


@pytest.mark.parametrize(
    ("channel", "own_s", "kept_s"),
    [(Channel.EXOTEL, 7200, 1780), (Channel.EXOTEL, 600, 600), (Channel.WEBSOCKET, 7200, 7200)],
)
async def test_bot_says_goodbye_before_exotel_ends_its_stream(
    plane: ControlPlane, channel: Channel, own_s: int, kept_s: int
) -> None:
    await plane.ready(max_call_duration_seconds=own_s, exotel_stream_limit_s=1800)
    plan = await plane.plan(channel=channel)
    assert plan.max_call_duration_s == kept_s
    assert (await plane.claim(plan.call_id)).config.max_call_duration_seconds == kept_s


async def test_plan_tells_exotels_door_what_the_account_takes(plane: ControlPlane) -> None:
    api = {"account_sid": "acme1", "api_key": "key", "api_token": "token"}
    await plane.ready(exotel_chunk_bytes=640, exotel_stream_limit_s=1800, exotel_api=api)
    plan = await plane.plan()
    assert (plan.exotel_chunk_bytes, plan.exotel_stream_limit_s) == (640, 1800)
    # Hanging up by Exotel's API is the sidecar's alone to do.
    assert (await plane.claim(plan.call_id)).config.exotel_api is None


async def test_config_is_rendered_for_the_call(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan(did="+15550101")
    agent = await plane.claim(plan.call_id)
    assert agent.config.opening_message == "Hello Sam."
    assert agent.variables["call.customer_name"] == "Sam"
    assert (agent.variables["call.caller_id"], agent.variables["call.did"]) == (
        "+15550100",
        "+15550101",
    )


async def test_same_key_is_the_same_call(plane: ControlPlane) -> None:
    await plane.ready()
    first = await plane.plan("k1")
    assert await plane.plan("k1") == first
    assert (await plane.plan("k2")).call_id != first.call_id
    assert len(plane.rooms.dispatches) == 2


async def test_same_key_at_the_same_time_is_planned_once(plane: ControlPlane) -> None:
    await plane.ready()
    plans = await asyncio.gather(*(plane.plan("k1") for _ in range(4)))
    assert len({plan.call_id for plan in plans}) == 1
    assert len(plane.rooms.dispatches) == 1


async def test_calls_that_start_too_fast_are_refused_and_leave_no_slot(
    database: Database, tmp_path: Path
) -> None:
    plane = ControlPlane(database, tmp_path, call_starts_per_s=0.01)
    await plane.ready()
    for key in ("k1", "k2"):
        await plane.plan(key)
    error = await denied(plane, key="k3")
    assert (error.code, error.retry_after_s) == (Code.AT_CAPACITY, 100)
    assert await plane.live() == len(plane.rooms.dispatches) == 2


async def test_calls_that_start_a_little_too_fast_wait_their_turn(
    database: Database, tmp_path: Path
) -> None:
    plane = ControlPlane(database, tmp_path, call_starts_per_s=50.0)
    await plane.ready()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(plane.plan(f"k{number}") for number in range(6)))
    assert loop.time() - began >= 4 / 50
    assert len(plane.rooms.dispatches) == 6


async def test_key_too_long_to_store_still_plans_once(plane: ControlPlane) -> None:
    await plane.ready()
    assert await plane.plan("k" * 5000) == await plane.plan("k" * 5000)


async def test_no_more_calls_than_slots_however_many_ask_at_once(plane: ControlPlane) -> None:
    await plane.add_bot()
    await plane.beat(max_calls=3)
    answers = await asyncio.gather(
        *(plane.plan(f"k{number}") for number in range(10)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert len(refused) == 7
    assert all(isinstance(e, Denied) and e.code is Code.AT_CAPACITY for e in refused)
    assert await plane.live() == 3
    assert len(plane.rooms.rooms) == 3


async def test_slot_is_free_again_after_the_call(plane: ControlPlane) -> None:
    await plane.add_bot()
    await plane.beat(max_calls=1)
    call_id = await plane.talking("k1")
    assert (await denied(plane, key="k2")).code is Code.AT_CAPACITY
    await plane.end(call_id)
    await plane.plan("k2")


async def test_at_capacity_says_when_to_ask_again(plane: ControlPlane) -> None:
    await plane.add_bot()
    await plane.beat(max_calls=0)
    refusal = await denied(plane)
    assert (refusal.code, refusal.retry_after_s) == (Code.AT_CAPACITY, 2)


@pytest.mark.parametrize("silent_s", [0, 3.5])
async def test_no_dispatch_before_an_agent_is_ready(plane: ControlPlane, silent_s: float) -> None:
    await plane.add_bot()
    await plane.beat(ready=silent_s > 0)
    plane.clock.advance(silent_s)
    assert (await denied(plane)).code is Code.NO_AGENT
    assert plane.rooms.dispatches == []


async def nothing_left(plane: ControlPlane) -> None:
    assert plane.rooms.rooms == set()
    assert await plane.live() == 0
    async with plane.database.read() as connection:
        assert await calls.page(connection, "default") == []
        assert await events.after(connection, "default", 0) == []


async def test_unknown_bot_leaves_nothing(plane: ControlPlane) -> None:
    await plane.ready()
    assert (await denied(plane, bot_id="nobody")).code is Code.BOT_UNKNOWN
    assert (await denied(plane, bot_id="n" * 900)).code is Code.BOT_UNKNOWN
    await nothing_left(plane)


async def test_wrong_token_leaves_nothing(plane: ControlPlane) -> None:
    await plane.ready(stream_token="right")
    assert (await denied(plane, presented_token="wrong")).code is Code.UNAUTHORISED
    await nothing_left(plane)
    await plane.plan(presented_token="right")


async def test_closed_bot_leaves_a_result_but_no_room_and_no_slot(plane: ControlPlane) -> None:
    await plane.ready(**CLOSED)
    assert (await denied(plane)).code is Code.OUTSIDE_HOURS
    assert plane.rooms.rooms == set()
    assert await plane.live() == 0
    async with plane.database.read() as connection:
        (row,) = await calls.page(connection, "default")
        (delivery,) = await deliveries.page(connection, "default")
    assert row.end_reason is Reason.OUTSIDE_HOURS
    assert '"disconnected_by":"outside_hours"' in delivery.body
    assert (await denied(plane)).code is Code.OUTSIDE_HOURS


async def test_livekit_away_is_a_refusal_with_a_result(plane: ControlPlane) -> None:
    await plane.ready()
    plane.rooms.failure = RoomUnavailable("down")
    assert (await denied(plane)).code is Code.ROOM_UNAVAILABLE
    assert await plane.live() == 0
    async with plane.database.read() as connection:
        (row,) = await calls.page(connection, "default")
    result = await plane.result(row.call_id)
    assert result is not None
    assert result["disconnected_by"] == "error"


async def test_planning_that_breaks_leaves_no_slot(plane: ControlPlane) -> None:
    await plane.ready()

    async def broken(*asked: object, **also: object) -> None:
        raise asyncio.CancelledError

    plane.rooms.create = broken  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await plane.plan()
    assert await plane.live() == 0


async def test_campaign_chooses_the_session_id(plane: ControlPlane) -> None:
    await plane.ready()
    event = {"_campaign_session_id": "campaign-7"}
    assert (await plane.plan("k1", connected_event=event)).session_id == "campaign-7"
    again = await plane.plan("k2", connected_event=event)
    assert again.session_id == again.call_id


async def test_session_id_too_long_to_store_is_replaced(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan(connected_event={"_campaign_session_id": "x" * 999})
    assert plan.session_id == plan.call_id


async def test_nul_characters_are_taken_out(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan(caller_id="+1\x00555")
    assert (await plane.row(plan.call_id)).caller_id == "+1555"


async def give(
    plane: ControlPlane, number: str, bot_id: str | None, tenant: str = "default"
) -> None:
    async with plane.database.transaction() as connection:
        await numbers.add(connection, NumberRow(number, tenant, bot_id, "ST_1", START, START))


@pytest.mark.parametrize("did", ["+919876543210", "sip:919876543210@192.0.2.1", "00919876543210"])
async def test_dialled_number_finds_its_bot(plane: ControlPlane, did: str) -> None:
    await plane.ready()
    await give(plane, "+919876543210", "desk")
    plan = await plane.plan(channel=Channel.SIP, bot_id="", did=did)
    assert (plan.bot_id, plan.room_name) == ("desk", f"call-{plan.call_id}")
    row = await plane.row(plan.call_id)
    assert (row.bot_id, row.did, row.trunk_id, row.media) == ("desk", did, "ST_1", "data")
    assert await plane.plan(channel=Channel.SIP, bot_id="", did=did) == plan


async def test_number_nobody_answers_leaves_nothing(plane: ControlPlane) -> None:
    await plane.ready()
    await give(plane, "detached", None)
    await give(plane, "theirs", "desk", "other")
    for did in ("unknown", "detached", "theirs", "", "\x00", "x" * 5000):
        refusal = await denied(plane, key=did, channel=Channel.SIP, bot_id="", did=did)
        assert refusal.code is Code.BOT_UNKNOWN
    await nothing_left(plane)


async def test_telephone_shows_no_stream_token(plane: ControlPlane) -> None:
    await plane.ready(stream_token="right", stream_allowed_ips=["192.0.2.1"])
    await give(plane, "demo", "desk")
    await plane.plan(channel=Channel.SIP, bot_id="", did="demo")


async def test_refused_call_is_told_by_its_id_where_it_is_kept(plane: ControlPlane) -> None:
    await plane.ready(**CLOSED)
    refusal = await denied(plane)
    assert (await plane.row(refusal.details["call_id"])).end_reason is Reason.OUTSIDE_HOURS
    await plane.add_bot()
    assert "call_id" not in (await denied(plane, key="k2", bot_id="nobody")).details


async def test_trunk_is_full_whichever_way_its_calls_go(plane: ControlPlane) -> None:
    await plane.ready()
    trunk = Trunk(trunk_id="ST_1", name="t", channels=2)
    async with plane.database.transaction() as connection:
        await trunks.add(connection, TrunkRow("ST_1", "default", trunk, START, START))
    way: dict[str, Any] = {"channel": Channel.SIP, "trunk_id": "ST_1"}
    call_id = await plane.talking("k1", **way)
    await plane.plan("k2", **{**way, "channel": Channel.DIALOUT, "call_direction": "outgoing"})
    refusal = await denied(plane, key="k3", **way)
    assert (refusal.code, refusal.retry_after_s) == (Code.AT_CAPACITY, 2)
    assert refusal.details == {"trunk_id": "ST_1", "live_calls": 2, "channels": 2}
    await plane.plan("k4", channel=Channel.SIP, trunk_id="ST_other")
    await plane.end(call_id)
    await plane.plan("k5", **way)


async def test_room_of_somebody_else_is_not_made_but_gets_an_agent(plane: ControlPlane) -> None:
    await plane.ready()
    there: dict[str, Any] = {"channel": Channel.SIP, "room_name": "r1", "caller_identity": "phone"}
    plan = await plane.plan("k1", **there)
    assert (plan.room_name, plan.caller_identity, plan.token) == ("r1", "phone", "")
    assert plane.rooms.dispatches == [("r1", plan.call_id, 1)]
    assert plane.rooms.rooms == set()
    # The room holds one call at a time, whoever asks.
    assert (await plane.plan("k2", **there)).call_id == plan.call_id
    refusal = await denied(plane, key="k3", **{**there, "bot_id": "other"})
    assert refusal.code is Code.KEY_REUSED
    await plane.plan("k4", **{**there, "room_name": "r2", "has_agent": True})
    assert len(plane.rooms.dispatches) == 1


async def test_doors_have_slots_of_their_own(plane: ControlPlane) -> None:
    await plane.ready()
    await plane.beat("bridge", id="s", max_calls=0)
    await plane.beat("bridge", id="m", max_calls=1, door="sip")
    assert (await denied(plane, key="k1")).code is Code.AT_CAPACITY
    await plane.plan("k2", channel=Channel.SIP)
    assert (await denied(plane, key="k3", channel=Channel.SIP)).code is Code.AT_CAPACITY
    await plane.plan("k4", channel=Channel.SIP, media="tracks")
    await plane.beat("bridge", id="s", max_calls=1)
    await plane.plan("k5")


async def test_bridges_limit_calls_once_they_are_known(plane: ControlPlane) -> None:
    await plane.ready()
    await plane.beat("bridge", max_calls=1)
    await plane.plan("k1")
    assert (await denied(plane, key="k2", channel=Channel.EXOTEL)).code is Code.AT_CAPACITY
