"""Calls placed through LiveKit SIP: every ending told apart, none rung on after its call's end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from contracts.call import CallState
from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.report import AgentEnded, LegEnded, Source
from contracts.trunk import Trunk
from sidecar.livekit_sip import SipDial, SipError, SipRefused, SipUnavailable
from sidecar.managed import ManagedPlacer, reason_of
from sidecar.rooms import RoomUnavailable
from sidecar.store import events, trunks
from sidecar.store.calls import CallRow
from sidecar.store.dials import DialRow
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.store.trunks import TrunkRow
from sidecar.wake import Wake
from tests.fakes.control_plane import START, ControlPlane
from tests.fakes.sip_service import FakeSip

TRUNK = Trunk(trunk_id="t1", name="Carrier", address="carrier.example", numbers=["+15550100"])


class World:
    """A call whose agent is in its room, and a placer."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.sip = FakeSip()
        self.trunks_changed = Wake()
        self.monotonic_s = 0.0
        self.placer = ManagedPlacer(
            plane.database,
            plane.calls,
            self.sip,
            plane.rooms,
            max_call_s=14_400,
            clock=plane.clock,
            trunks_changed=self.trunks_changed,
            monotonic=lambda: self.monotonic_s,
            look_s=0.005,
        )
        self.call_id = ""

    async def prepare(self, outbound_id: str | None = "ST_1", **changes: Any) -> None:
        await self.plane.ready()
        plan = await self.plane.plan(channel=Channel.DIALOUT, call_direction="outgoing")
        await self.plane.claim(plan.call_id)
        self.call_id = plan.call_id
        row = TrunkRow("t1", DEFAULT_TENANT, TRUNK, START, START, outbound_id=outbound_id)
        async with self.plane.database.transaction() as connection:
            await trunks.add(connection, row)

    async def row(self) -> CallRow:
        return await self.plane.row(self.call_id)

    async def place(self, trunk: Trunk = TRUNK) -> None:
        dial = DialRow(
            call_id=self.call_id,
            tenant_id=DEFAULT_TENANT,
            trunk_id=trunk.trunk_id,
            kind="managed",
            to_number="+911140000000",
            from_number="+15550100",
            created_at=START,
            ringing_timeout_s=45.0,
        )
        await self.placer.place(dial, await self.row(), trunk)

    async def facts(self) -> list[str]:
        async with self.plane.database.read() as connection:
            found = await events.facts(connection, DEFAULT_TENANT, self.call_id)
        return [fact.type for fact in found]

    async def ending(self) -> LegEnded:
        async with self.plane.database.read() as connection:
            found = await events.facts(connection, DEFAULT_TENANT, self.call_id)
        (ended,) = [fact for fact in found if isinstance(fact, LegEnded)]
        return ended

    def shows(self, status: str | None, row: CallRow) -> None:
        self.sip.statuses[row.room_name, row.caller_identity] = status

    async def until(self, state: CallState) -> None:
        armed = self.plane.bells.events.armed()
        while (await self.row()).state is not state:
            await armed.wait()
            armed = self.plane.bells.events.armed()

    @asynccontextmanager
    async def ringing(self, error: SipError | None) -> AsyncIterator[asyncio.Event]:
        """Let a phone ring until the event is set, or it is sent away; then `error` is raised."""
        row, over = await self.row(), asyncio.Event()

        async def dial(_: SipDial) -> None:
            self.shows("ringing", row)
            ends = [
                asyncio.create_task(over.wait()),
                asyncio.create_task(self.plane.rooms.reached(removed=1)),
            ]
            waiting = (await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED))[1]
            for task in waiting:
                task.cancel()
            if error is not None:
                self.shows(None, row)
                raise error

        self.sip.on_dial = dial
        placing = asyncio.create_task(self.place())
        await self.until(CallState.RINGING)
        yield over
        await placing


@pytest.fixture
async def world(plane: ControlPlane) -> World:
    world = World(plane)
    await world.prepare()
    return world


async def test_phone_is_called_into_the_room_and_its_answer_reported(world: World) -> None:
    async with world.ringing(None) as over:
        row = await world.row()
        assert row.expires_at is not None
        assert row.expires_at >= START + timedelta(seconds=45)
        over.set()
    (dialled,) = world.sip.dialled
    row = await world.row()
    assert dialled == SipDial(
        trunk_id="ST_1",
        to_number="+911140000000",
        from_number="+15550100",
        room_name=row.room_name,
        identity=row.caller_identity,
        ringing_timeout_s=45.0,
        max_duration_s=14_400,
    )
    assert await world.facts() == ["leg_dialled", "leg_ringing", "leg_answered"]
    assert row.state is CallState.ANSWERED
    assert world.plane.rooms.removed == []


async def test_answer_without_ringing_is_an_answer(world: World) -> None:
    await world.place()
    assert await world.facts() == ["leg_dialled", "leg_answered"]


@pytest.mark.parametrize(
    ("status_code", "reason"),
    [
        (404, Reason.CALLEE_UNKNOWN),
        (408, Reason.NO_ANSWER),
        (480, Reason.NO_ANSWER),
        (486, Reason.BUSY),
        (600, Reason.BUSY),
        (603, Reason.DECLINED),
        (503, Reason.CARRIER_REFUSED),
    ],
)
async def test_carrier_s_word_is_the_ending(world: World, status_code: int, reason: Reason) -> None:
    async def dial(_: SipDial) -> None:
        raise SipRefused("whatever", "said so", status_code)

    world.sip.on_dial = dial
    await world.place()
    ended = await world.ending()
    assert (ended.reason, ended.sip_status_code) == (reason, status_code)
    assert ended.detail == f"{status_code} said so"


async def test_phone_that_rang_in_vain_was_not_answered(world: World) -> None:
    async with world.ringing(SipRefused("canceled")) as over:
        world.monotonic_s = 45.0
        over.set()
    assert (await world.ending()).reason is Reason.NO_ANSWER


async def test_peer_that_never_said_that_it_rings_is_unreachable(world: World) -> None:
    async def dial(_: SipDial) -> None:
        world.monotonic_s = 45.0
        raise SipRefused("canceled")

    world.sip.on_dial = dial
    await world.place()
    assert (await world.ending()).reason is Reason.CARRIER_UNREACHABLE


async def test_call_whose_bot_has_ended_is_not_rung_on(world: World) -> None:
    async with world.ringing(SipRefused("canceled")):
        ended = AgentEnded(at=world.plane.clock(), reason=Reason.PIPELINE_FAILED)
        await world.plane.report(world.call_id, Source.AGENT, 1, ended)
    row = await world.row()
    assert set(world.plane.rooms.removed) == {(row.room_name, row.caller_identity)}
    assert (await world.ending()).reason is Reason.DIAL_ABORTED
    assert row.end_reason is Reason.PIPELINE_FAILED


async def test_phone_that_answers_a_call_that_is_over_is_hung_up(world: World) -> None:
    async def dial(_: SipDial) -> None:
        ended = AgentEnded(at=world.plane.clock(), reason=Reason.PIPELINE_FAILED)
        await world.plane.report(world.call_id, Source.AGENT, 1, ended)

    world.sip.on_dial = dial
    await world.place()
    row = await world.row()
    assert (row.room_name, row.caller_identity) in world.plane.rooms.removed


async def test_livekit_that_does_not_answer_leaves_no_phone_ringing(world: World) -> None:
    world.sip.on_dial = None
    world.sip.failure = SipUnavailable("TimeoutError")
    world.plane.rooms.failure = RoomUnavailable("down")
    await world.place()
    assert (await world.ending()).reason is Reason.CARRIER_UNREACHABLE
    world.plane.rooms.failure = None


async def test_status_that_cannot_be_seen_ends_no_dial(world: World) -> None:
    async def dial(_: SipDial) -> None:
        world.sip.failure = SipUnavailable("away")
        await world.sip.asked_for("call_status")

    world.sip.on_dial = dial
    await world.place()
    assert (await world.row()).state is CallState.ANSWERED


async def test_trunk_that_livekit_lost_is_told_again(world: World) -> None:
    async def dial(_: SipDial) -> None:
        raise SipRefused("not_found", "requested sip trunk does not exist")

    world.sip.on_dial = dial
    armed = world.trunks_changed.armed()
    await world.place()
    assert armed.is_set()
    assert (await world.ending()).reason is Reason.CARRIER_REFUSED


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({}, "LiveKit SIP has not been told of the trunk yet"),
        ({"numbers": []}, "the trunk has no address to dial, or no number to show"),
    ],
)
async def test_trunk_that_livekit_does_not_know_yet_calls_nobody(
    plane: ControlPlane, changes: dict[str, Any], detail: str
) -> None:
    world = World(plane)
    await world.prepare(outbound_id=None)
    await world.place(TRUNK.model_copy(update=changes))
    ended = await world.ending()
    assert (ended.reason, ended.detail) == (Reason.CARRIER_REFUSED, detail)
    assert world.sip.dialled == []


async def test_trunk_that_is_not_ours_is_livekit_s_own(world: World) -> None:
    await world.place(TRUNK.model_copy(update={"trunk_id": "ST_theirs"}))
    assert [dial.trunk_id for dial in world.sip.dialled] == ["ST_theirs"]


async def test_cancelled_placing_leaves_nobody_watching(world: World) -> None:
    begun = asyncio.Event()

    async def dial(_: SipDial) -> None:
        begun.set()
        await asyncio.Event().wait()

    world.sip.on_dial = dial
    placing = asyncio.create_task(world.place())
    await begun.wait()
    placing.cancel()
    await asyncio.wait({placing})
    await asyncio.sleep(0)
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("ring ")]
    assert placing.cancelled()
    assert left == []


@pytest.mark.parametrize(
    ("error", "seen", "reason"),
    [
        (SipRefused("canceled"), {"has_rung": True}, Reason.NO_ANSWER),
        (SipRefused("canceled"), {"has_rung": True, "is_early": True}, Reason.DIAL_ABORTED),
        (SipRefused("canceled"), {"is_aborted": True}, Reason.DIAL_ABORTED),
        (SipRefused("canceled"), {}, Reason.CARRIER_UNREACHABLE),
        (SipRefused("deadline_exceeded"), {"has_rung": True}, Reason.NO_ANSWER),
        (SipRefused("deadline_exceeded"), {}, Reason.CARRIER_UNREACHABLE),
        (SipRefused("failed_precondition"), {"is_early": True}, Reason.CARRIER_UNREACHABLE),
        (SipUnavailable("unavailable"), {"is_early": True}, Reason.CARRIER_UNREACHABLE),
        (SipUnavailable("internal"), {"is_early": True}, Reason.CARRIER_UNREACHABLE),
        (SipRefused("not_found"), {"is_early": True}, Reason.CARRIER_REFUSED),
        (SipRefused("invalid_argument"), {"is_early": True}, Reason.CARRIER_REFUSED),
        (SipRefused("resource_exhausted", "Busy", 486), {"is_aborted": True}, Reason.BUSY),
    ],
)
def test_every_failure_has_its_reason(
    error: SipError, seen: dict[str, bool], reason: Reason
) -> None:
    given = {"has_rung": False, "is_aborted": False, "is_early": False, **seen}
    assert reason_of(error, **given) is reason
