"""A dial waits for its agent, is claimed once, and ends with its call, in exactly one result."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.outcome import Reason
from contracts.report import (
    AgentEnded,
    AgentJoined,
    LegAnswered,
    LegDialled,
    LegEnded,
    LegRinging,
    LostJob,
    Source,
)
from sidecar import dialling
from sidecar.store import dials
from sidecar.store.calls import CallRow
from tests.fakes.control_plane import ControlPlane
from tests.fakes.dial_desk import DialDesk


@pytest.fixture
def desk(plane: ControlPlane) -> DialDesk:
    return DialDesk(plane)


async def ended(desk: DialDesk, call_id: str) -> tuple[Reason | None, str]:
    """Return why a call ended, and check that it has its one result and its dial is over."""
    row = await desk.plane.row(call_id)
    assert (await desk.state(call_id)) == ("ended", "settled")
    result = await desk.plane.result(call_id)
    assert result is not None
    assert result["revision"] == 0
    return row.end_reason, row.end_detail


async def tick(desk: DialDesk, seconds: float) -> None:
    """Let time pass, watched by a watch that keeps up, while the agent's worker lives."""
    for _ in range(int(seconds)):
        desk.plane.clock.advance(1)
        await desk.plane.beat(calls=[])
        await desk.plane.watch.tick()


async def test_dial_is_ready_when_its_agent_is_and_not_before(desk: DialDesk) -> None:
    await desk.ready()
    plan = await desk.order()
    assert await desk.state(plan.call_id) == ("planned", "waiting")
    await desk.plane.claim(plan.call_id)
    assert await desk.state(plan.call_id) == ("planned", "waiting")
    await desk.join(plan.call_id)
    assert await desk.state(plan.call_id) == ("planned", "ready")


async def test_call_follows_its_phone(desk: DialDesk) -> None:
    await desk.ready()
    call_id = await desk.due()
    (order,) = await desk.take()
    assert order.plan.call_id == call_id
    assert await desk.state(call_id) == ("planned", "claimed")
    assert (await desk.plane.row(call_id)).bridge_id == "bridge-1"
    at = desk.plane.clock()
    await desk.tell(call_id, LegDialled(at=at))
    assert await desk.state(call_id) == ("dialling", "claimed")
    await desk.tell(call_id, LegRinging(at=at))
    assert await desk.state(call_id) == ("ringing", "claimed")
    await desk.tell(call_id, LegAnswered(at=at))
    assert await desk.state(call_id) == ("answered", "settled")


@pytest.mark.parametrize(
    ("reason", "code", "word"),
    [
        (Reason.BUSY, 486, "rejected"),
        (Reason.DECLINED, 603, "rejected"),
        (Reason.NO_ANSWER, 480, "no_answer"),
        (Reason.CARRIER_REFUSED, 503, "error"),
        (Reason.CARRIER_UNREACHABLE, None, "error"),
    ],
)
async def test_phone_that_is_not_answered_ends_the_call_in_one_result(
    desk: DialDesk, reason: Reason, code: int | None, word: str
) -> None:
    await desk.ready()
    call_id = await desk.due()
    await desk.take()
    at = desk.plane.clock()
    over = LegEnded(at=at, reason=reason, sip_status_code=code)
    await desk.tell(call_id, LegDialled(at=at), over)
    assert (await desk.dial(call_id)).sip_status_code == code
    await tick(desk, 6)
    assert (await ended(desk, call_id))[0] is reason
    result = await desk.plane.result(call_id)
    assert result is not None
    assert (result["disconnected_by"], result["call_duration_seconds"]) == (word, 0.0)


async def test_dial_that_nobody_claims_ends_the_call(desk: DialDesk) -> None:
    await desk.ready()
    call_id = await desk.due()
    await tick(desk, 9)
    assert await desk.state(call_id) == ("planned", "ready")
    await tick(desk, 2)
    assert await ended(desk, call_id) == (
        Reason.CARRIER_UNREACHABLE,
        "no SIP bridge claimed the call",
    )
    assert await desk.take_now() == []


async def test_agent_that_never_gets_ready_ends_the_call_undialled(desk: DialDesk) -> None:
    await desk.ready()
    plan = await desk.order()
    await desk.plane.claim(plan.call_id)
    await tick(desk, 31)
    assert (await ended(desk, plan.call_id))[0] is Reason.NO_AGENT


async def test_agent_that_never_comes_ends_the_call_undialled(desk: DialDesk) -> None:
    await desk.ready()
    plan = await desk.order()
    await tick(desk, 31)
    assert (await ended(desk, plan.call_id))[0] is Reason.NO_AGENT


async def test_ringing_call_is_left_alone_for_its_time_and_ended_after_it(desk: DialDesk) -> None:
    await desk.ready()
    call_id = await desk.due()
    await desk.take()
    await desk.tell(call_id, LegRinging(at=desk.plane.clock()))
    await tick(desk, 59)
    assert await desk.state(call_id) == ("ringing", "claimed")
    await tick(desk, 2)
    assert (await ended(desk, call_id))[0] is Reason.DIAL_LOST


async def test_bridge_that_dies_over_a_dial_ends_it_as_lost(desk: DialDesk) -> None:
    await desk.ready()
    await desk.plane.beat("bridge", door="sip")
    call_id = await desk.due()
    await desk.take()
    await desk.tell(call_id, LegRinging(at=desk.plane.clock()))
    await tick(desk, 10)
    assert await ended(desk, call_id) == (Reason.DIAL_LOST, "its bridge is gone")


async def test_bridge_that_dies_over_an_answered_call_was_no_dial(desk: DialDesk) -> None:
    await desk.ready()
    await desk.plane.beat("bridge", door="sip")
    call_id = await desk.due()
    await desk.take()
    await desk.tell(call_id, LegAnswered(at=desk.plane.clock()))
    await tick(desk, 10)
    assert (await ended(desk, call_id))[0] is Reason.BRIDGE_LOST


async def test_call_that_has_ended_is_never_dialled(desk: DialDesk) -> None:
    await desk.ready()
    call_id = await desk.due()
    row = await desk.plane.row(call_id)
    assert await desk.plane.calls.finish(row, Reason.AGENT_LOST)
    assert await desk.state(call_id) == ("ended", "settled")
    assert await desk.take_now() == []


async def test_call_whose_agent_has_left_is_not_dialled(desk: DialDesk) -> None:
    await desk.ready()
    call_id = await desk.due()
    left = AgentEnded(at=desk.plane.clock(), reason=Reason.PIPELINE_FAILED)
    await desk.tell(call_id, left, source=Source.AGENT)
    assert await desk.take_now() == []
    assert (await desk.dial(call_id)).state == "settled"


async def test_dial_whose_agent_dies_waits_for_the_next_one(desk: DialDesk) -> None:
    await desk.ready()
    call_id = await desk.due()
    desk.plane.clock.advance(1)
    await desk.plane.losses.agent("default", LostJob(call_id=call_id, incarnation=1))
    assert await desk.take_now() == []
    assert await desk.state(call_id) == ("planned", "ready")
    await desk.plane.claim(call_id, 2)
    joined = AgentJoined(at=desk.plane.clock())
    await desk.plane.report(call_id, Source.AGENT, 1, joined, incarnation=2)
    # Bridges have as long to claim it as if it were ready only now.
    row = await desk.plane.row(call_id)
    assert row.expires_at == desk.plane.clock() + dialling.UNCLAIMED
    assert [order.plan.call_id for order in await desk.take()] == [call_id]


async def test_stream_call_is_none_of_this(plane: ControlPlane) -> None:
    await plane.ready()
    row: CallRow = await plane.row(await plane.talking())
    assert not dialling.is_dialled(row)
    async with plane.database.transaction() as connection:
        fact = LegAnswered(at=plane.clock())
        assert await dialling.follow(connection, row, [fact], plane.clock()) is row
        assert (await dialling.silence(connection, row))[0] is Reason.ABANDONED
        assert await dials.get(connection, "default", row.call_id) is None


async def test_agent_that_replaces_another_does_not_ready_a_dial_anew(desk: DialDesk) -> None:
    await desk.ready()
    call_id = await desk.due()
    await desk.take()
    before = await desk.plane.row(call_id)
    await desk.join(call_id)
    row = await desk.plane.row(call_id)
    assert row.expires_at == before.expires_at
    assert row.expires_at == desk.plane.clock() + timedelta(seconds=60)
    assert await desk.state(call_id) == ("planned", "claimed")
