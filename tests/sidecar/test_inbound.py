"""Phones that are in their rooms already: claimed by agents, dispatched to, attached to bots."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contracts.call import CallState
from contracts.outcome import Reason
from contracts.plan import AgentPlan, RoomClaim
from contracts.report import AgentEnded, AgentJoined, ConversationStarted, LostJob, Source
from contracts.trunk import Trunk
from sidecar.denial import Code, Denied
from sidecar.inbound import Attachment, Inbound
from sidecar.rooms import Attendance, RoomUnavailable
from sidecar.sip_caller import SipCaller, caller_of
from sidecar.store import calls, numbers, trunks
from sidecar.store.calls import CallRow
from sidecar.store.numbers import NumberRow
from sidecar.store.trunks import TrunkRow
from tests.fakes.control_plane import START, ControlPlane

NUMBER = "+918047091234"
ROOM = "call-_+918047091234_abc"
PHONE = "sip_+15550100"
ATTRIBUTES = {
    "sip.callID": "SCL_1",
    "sip.trunkID": "ST_livekit",
    "sip.trunkPhoneNumber": NUMBER,
    "sip.phoneNumber": "+15550100",
    "sip.h.x-customer-name": "Sam",
}
CALLER = caller_of(ROOM, PHONE, ATTRIBUTES)
BOT = {"opening_message": "Hello {{call.sip_header_x_customer_name}}."}


class Desk:
    """A bot behind a number and a trunk."""

    def __init__(self, plane: ControlPlane, claimed_within_s: float = 10.0) -> None:
        self.plane = plane
        self.inbound = Inbound(
            plane.database,
            plane.planner,
            plane.calls,
            plane.rooms,
            new_id=plane._new_id,
            claimed_within_s=claimed_within_s,
        )

    async def open(self, *, channels: int = 10, bot_id: str | None = "desk", **bot: Any) -> None:
        await self.plane.ready(**BOT, **bot)
        trunk = Trunk(trunk_id="ST_ours", name="t", channels=channels, numbers=[NUMBER])
        async with self.plane.database.transaction() as connection:
            row = TrunkRow("ST_ours", "default", trunk, START, START, inbound_id="ST_livekit")
            await trunks.add(connection, row)
            number = NumberRow(NUMBER, "default", bot_id, "ST_ours", START, START)
            await numbers.add(connection, number)
        self.plane.rooms.attendances[ROOM] = Attendance((PHONE,), PHONE)

    async def claim(self, room: str = ROOM, worker_id: str = "w1", **changed: str) -> AgentPlan:
        claim = RoomClaim(
            room_name=room,
            worker_id=worker_id,
            caller_identity=PHONE,
            attributes={**ATTRIBUTES, **changed},
        )
        return await self.inbound.claim("default", claim)

    async def dispatch(self, caller: SipCaller = CALLER) -> str:
        call_id = await self.inbound.dispatch("default", caller)
        await self.plane.planner.aclose()
        return call_id

    async def attach(self, **changed: Any) -> str:
        given = {"room_name": "r1", "bot_id": "desk", "to_number": "+15550100", **changed}
        self.plane.rooms.attendances.setdefault("r1", Attendance(("sip-+15550100",)))
        call_id = await self.inbound.attach("default", Attachment(**given))
        await self.plane.planner.aclose()
        return call_id

    async def only(self) -> CallRow:
        async with self.plane.database.read() as connection:
            [row] = await calls.page(connection, "default")
        return row


@pytest.fixture
def desk(plane: ControlPlane) -> Desk:
    return Desk(plane)


async def refused(asking: Any) -> Denied:
    with pytest.raises(Denied) as denied:
        await asking
    return denied.value


async def test_agent_that_a_rule_called_gets_the_call_of_its_room(desk: Desk) -> None:
    await desk.open()
    plan = await desk.claim()
    assert (plan.channel, plan.media, plan.call_direction) == ("sip", "tracks", "incoming")
    assert (plan.room_name, plan.caller_identity) == (ROOM, PHONE)
    assert plan.config.opening_message == "Hello Sam."
    assert plan.answered_at is None
    row = await desk.plane.row(plan.call_id)
    assert (row.bot_id, row.trunk_id, row.did, row.caller_id) == (
        "desk", "ST_ours", NUMBER, "+15550100",
    )  # fmt: skip
    assert (row.stream_id, row.worker_id, row.claim_due_at) == ("SCL_1", "w1", None)
    # Neither room nor dispatch are ours to make: the rule has.
    assert desk.plane.rooms.dispatches == []
    assert desk.plane.rooms.removed == []


async def test_asking_again_is_the_same_call_and_another_agent_gets_none(desk: Desk) -> None:
    await desk.open()
    plan = await desk.claim()
    assert (await desk.claim()).call_id == plan.call_id
    assert (await refused(desk.claim(worker_id="w2"))).code is Code.ALREADY_CLAIMED
    assert desk.plane.rooms.removed == []


async def test_agent_in_a_room_that_another_was_called_for_gets_none(desk: Desk) -> None:
    await desk.open()
    await desk.dispatch()
    assert (await refused(desk.claim())).code is Code.ALREADY_CLAIMED
    assert desk.plane.rooms.removed == []


async def test_room_of_a_call_that_has_ended_may_hold_another(desk: Desk) -> None:
    await desk.open()
    first = await desk.claim()
    now = desk.plane.clock()
    over = AgentEnded(at=now, reason=Reason.CALLER_HUNG_UP)
    await desk.plane.report(first.call_id, Source.AGENT, 1, over)
    await desk.plane.calls.finish(await desk.plane.row(first.call_id), None)
    assert (await refused(desk.claim())).code is Code.CALL_ENDED
    again = await desk.claim(**{"sip.callID": "SCL_2"})
    assert again.call_id != first.call_id


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"sip.trunkPhoneNumber": "+918000000000"}, Code.BOT_UNKNOWN),
        ({"sip.trunkID": ""}, Code.UNAUTHORISED),
        ({"sip.trunkPhoneNumber": "x" * 5000}, Code.BOT_UNKNOWN),
    ],
)
async def test_call_for_nobody_is_sent_away(
    desk: Desk, changed: dict[str, str], code: Code
) -> None:
    await desk.open()
    assert (await refused(desk.claim(**changed))).code is code
    assert desk.plane.rooms.removed == [(ROOM, PHONE)]
    assert await desk.plane.live() == 0


async def test_detached_number_is_answered_by_nobody(desk: Desk) -> None:
    await desk.open(bot_id=None)
    assert (await refused(desk.claim())).code is Code.BOT_UNKNOWN
    assert desk.plane.rooms.removed == [(ROOM, PHONE)]


async def test_dialled_number_may_be_known_by_the_trunk_alone(desk: Desk) -> None:
    await desk.open()
    plan = await desk.claim(**{"sip.trunkPhoneNumber": ""})
    assert (await desk.plane.row(plan.call_id)).did == NUMBER


async def test_closed_bot_has_a_result_and_the_caller_goes(desk: Desk) -> None:
    await desk.open(active_hours={"enabled": True, "days": []})
    denied = await refused(desk.claim())
    assert denied.code is Code.OUTSIDE_HOURS
    assert desk.plane.rooms.removed == [(ROOM, PHONE)]
    row = await desk.only()
    assert (row.end_reason, row.call_id) == (Reason.OUTSIDE_HOURS, denied.details["call_id"])


async def test_trunk_carries_no_more_than_its_channels(desk: Desk) -> None:
    await desk.open(channels=2)
    asked = [desk.claim(f"call-{n}", **{"sip.callID": f"SCL_{n}"}) for n in range(4)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    full = [answer for answer in answers if isinstance(answer, Denied)]
    assert [(denied.code, denied.details["trunk_id"]) for denied in full] == [
        (Code.AT_CAPACITY, "ST_ours")
    ] * 2
    assert len(desk.plane.rooms.removed) == 2


async def test_calls_without_a_bridge_need_no_bridges_slot(desk: Desk) -> None:
    await desk.open()
    await desk.plane.beat("bridge", id="s", max_calls=0)
    await desk.plane.beat("bridge", id="m", max_calls=0, door="sip")
    assert (await desk.claim()).room_name == ROOM


async def test_agent_that_is_lost_is_replaced_in_the_rules_room(desk: Desk) -> None:
    await desk.open()
    plan = await desk.claim()
    await desk.plane.losses.agent("default", LostJob(call_id=plan.call_id, incarnation=1))
    assert desk.plane.rooms.dispatches == [(ROOM, plan.call_id, 2)]
    assert (await refused(desk.claim())).code is Code.STALE_INCARNATION
    again = await desk.plane.claim(plan.call_id, 2, "w2")
    assert (again.caller_identity, again.media) == (PHONE, "tracks")


async def test_talking_means_answered_where_no_bridge_tells(desk: Desk) -> None:
    await desk.open()
    plan = await desk.claim()
    at = desk.plane.clock.advance(2)
    facts = (AgentJoined(at=at), ConversationStarted(at=at))
    await desk.plane.report(plan.call_id, Source.AGENT, 1, *facts)
    row = await desk.plane.row(plan.call_id)
    assert (row.state, row.answered_at, row.illegal_events) == (CallState.TALKING, at, 0)


async def test_agent_keeps_the_call_alive_where_no_bridge_does(desk: Desk) -> None:
    await desk.open(max_call_duration_seconds=60)
    plan = await desk.claim()
    at = desk.plane.clock()
    await desk.plane.report(plan.call_id, Source.AGENT, 1, ConversationStarted(at=at))
    watch = desk.plane.new_watch()

    async def look(*carried: str, seconds: int) -> bool:
        for _ in range(seconds):
            desk.plane.clock.advance(1)
            await desk.plane.beat(id="w1", calls=list(carried))
            await watch.tick()
        return (await desk.plane.row(plan.call_id)).is_ended

    assert not await look(plan.call_id, seconds=125)
    assert await look(seconds=35)


async def test_phone_gets_an_agent_called_once(desk: Desk) -> None:
    await desk.open()
    call_id = await desk.dispatch()
    assert desk.plane.rooms.dispatches == [(ROOM, call_id, 1)]
    assert desk.plane.rooms.rooms == set()
    assert await desk.dispatch() == call_id
    assert len(desk.plane.rooms.dispatches) == 1
    row = await desk.plane.row(call_id)
    assert (row.caller_identity, row.media, row.trunk_id) == (PHONE, "tracks", "ST_ours")


async def test_no_agent_is_called_where_a_rule_has(desk: Desk) -> None:
    await desk.open()
    desk.plane.rooms.attendances[ROOM] = Attendance((PHONE,), PHONE, has_agent=True)
    await desk.dispatch()
    assert desk.plane.rooms.dispatches == []
    assert await desk.plane.live() == 0


async def test_phone_that_has_left_gets_no_agent(desk: Desk) -> None:
    await desk.open()
    desk.plane.rooms.attendances.clear()
    assert (await refused(desk.dispatch())).code is Code.ROOM_UNAVAILABLE
    assert await desk.plane.live() == 0


async def test_name_of_the_phone_is_looked_up_where_it_is_not_told(desk: Desk) -> None:
    await desk.open()
    caller = SipCaller(room_name=ROOM, identity="", caller_id="+15550100", dialled=NUMBER)
    assert (await desk.plane.row(await desk.dispatch(caller))).caller_identity == PHONE


@pytest.mark.parametrize(
    ("max_calls", "dialled", "code", "removed"),
    [
        (0, NUMBER, Code.AT_CAPACITY, [(ROOM, PHONE)]),
        (1, "+918000000000", Code.BOT_UNKNOWN, [(ROOM, PHONE)]),
        (None, NUMBER, Code.NO_AGENT, []),
    ],
)
async def test_phone_that_cannot_be_served_is_sent_away_unless_it_may_be_later(
    desk: Desk, max_calls: int | None, dialled: str, code: Code, removed: list[tuple[str, str]]
) -> None:
    await desk.open()
    ready = max_calls is not None
    await desk.plane.beat(max_calls=max_calls or 0, ready=ready)
    caller = caller_of(ROOM, PHONE, {**ATTRIBUTES, "sip.trunkPhoneNumber": dialled})
    assert (await refused(desk.dispatch(caller))).code is code
    assert desk.plane.rooms.removed == removed
    assert await desk.plane.live() == 0


async def test_phone_is_sent_away_when_its_bot_turns_out_to_be_closed(desk: Desk) -> None:
    await desk.open(active_hours={"enabled": True, "days": []})
    call_id = await desk.dispatch()
    assert desk.plane.rooms.removed == [(ROOM, PHONE)]
    assert (await desk.plane.row(call_id)).end_reason is Reason.OUTSIDE_HOURS


async def test_livekit_that_is_away_is_a_refusal(desk: Desk) -> None:
    await desk.open()
    desk.plane.rooms.failure = RoomUnavailable("down")
    assert (await refused(desk.dispatch())).code is Code.ROOM_UNAVAILABLE
    assert (await refused(desk.attach())).code is Code.ROOM_UNAVAILABLE
    assert await desk.plane.live() == 0


async def test_attached_bot_speaks_at_once(desk: Desk) -> None:
    await desk.plane.ready()
    event = {"customer_name": "Sam"}
    call_id = await desk.attach(from_number=NUMBER, connected_event=event)
    assert desk.plane.rooms.dispatches == [("r1", call_id, 1)]
    assert desk.plane.rooms.rooms == set()
    plan = await desk.plane.claim(call_id)
    assert (plan.channel, plan.call_direction, plan.media) == ("attach", "outgoing", "tracks")
    assert (plan.room_name, plan.caller_identity) == ("r1", "sip-+15550100")
    assert plan.answered_at == START
    assert plan.config.opening_message == "Hello Sam."
    row = await desk.plane.row(call_id)
    assert (row.state, row.caller_id, row.did) == (CallState.ANSWERED, "+15550100", NUMBER)
    assert row.bridge_seq == 1


async def test_attaching_again_is_the_same_call_and_another_bot_is_refused(desk: Desk) -> None:
    await desk.plane.ready()
    call_id = await desk.attach()
    assert await desk.attach() == call_id
    assert (await refused(desk.attach(bot_id="other"))).code is Code.KEY_REUSED
    assert len(desk.plane.rooms.dispatches) == 1


@pytest.mark.parametrize(
    ("attendance", "identity"),
    [
        (Attendance(("sip-+15550100", "other")), "sip-+15550100"),
        (Attendance(("other", "sip_+1"), "sip_+1"), "sip_+1"),
        (Attendance(("other",)), "other"),
    ],
)
async def test_callee_is_whoever_is_there(
    desk: Desk, attendance: Attendance, identity: str
) -> None:
    await desk.plane.ready()
    desk.plane.rooms.attendances["r1"] = attendance
    assert (await desk.plane.row(await desk.attach())).caller_identity == identity


async def test_nobody_can_be_attached_to_in_an_empty_room(desk: Desk) -> None:
    await desk.plane.ready()
    desk.plane.rooms.attendances["r1"] = Attendance()
    assert (await refused(desk.attach())).code is Code.NOT_FOUND


@pytest.mark.parametrize("room_name", ["standby-1", "x" * 101])
async def test_room_that_cannot_hold_a_call_is_refused(desk: Desk, room_name: str) -> None:
    await desk.plane.ready()
    desk.plane.rooms.attendances[room_name] = Attendance(("sip-+15550100",))
    assert (await refused(desk.attach(room_name=room_name))).code is Code.BODY_INVALID


@pytest.mark.parametrize(
    ("bot", "bot_id", "reason"),
    [
        ({}, "nobody", Reason.BOT_UNKNOWN),
        ({"active_hours": {"enabled": True, "days": []}}, "desk", Reason.OUTSIDE_HOURS),
    ],
)
async def test_attached_call_whose_config_is_missing_has_a_result_of_no_length(
    desk: Desk, bot: dict[str, Any], bot_id: str, reason: Reason
) -> None:
    await desk.plane.ready(**bot)
    call_id = await desk.attach(bot_id=bot_id)
    row = await desk.plane.row(call_id)
    assert (row.is_ended, row.end_reason) == (True, reason)
    result = await desk.plane.result(call_id)
    assert result is not None
    assert result["call_duration_seconds"] == 0.0


async def test_attached_call_without_a_slot_is_refused_and_leaves_nothing(desk: Desk) -> None:
    await desk.plane.ready()
    await desk.plane.beat(max_calls=0)
    assert (await refused(desk.attach())).code is Code.AT_CAPACITY
    assert desk.plane.rooms.removed == []
    assert await desk.plane.live() == 0
