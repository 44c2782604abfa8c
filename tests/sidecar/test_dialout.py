"""Orders for calls: placed once per key, at the trunk's pace, or refused and nothing is left."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.outcome import Reason
from contracts.plan import Plan
from sidecar.denial import Code, Denied
from sidecar.store import calls
from sidecar.store.database import Database
from tests.fakes.control_plane import ControlPlane
from tests.fakes.dial_desk import OWN, TO, DialDesk
from tests.fakes.failing_database import FailingDatabase, StoreFailed, When


@pytest.fixture
def desk(plane: ControlPlane) -> DialDesk:
    return DialDesk(plane)


async def denied(desk: DialDesk, **changes: Any) -> Denied:
    with pytest.raises(Denied) as caught:
        await desk.order(**changes)
    return caught.value


async def kept(desk: DialDesk) -> list[str]:
    async with desk.database.read() as connection:
        return [row.call_id for row in await calls.page(connection, "default")]


async def test_order_plans_a_call_and_its_dial(desk: DialDesk) -> None:
    await desk.ready(number_format="national")
    plan = await desk.order(to_number="919876543210", connected_event={"name": "Rahul"})
    row, dial = await desk.plane.row(plan.call_id), await desk.dial(plan.call_id)
    assert plan.room_name == f"dialout-{plan.call_id}"
    assert (row.caller_id, row.did, row.trunk_id) == (TO, OWN, "t1")
    assert (row.channel, row.call_direction, row.media) == ("dialout", "outgoing", "data")
    assert row.connected_event == {"name": "Rahul"}
    assert (dial.to_number, dial.from_number) == ("09876543210", "01234567890")
    assert (dial.kind, dial.state, dial.ringing_timeout_s) == ("bridge", "waiting", 45.0)
    assert desk.plane.rooms.dispatches == [(plan.room_name, plan.call_id, 1)]


async def test_managed_trunk_gives_the_call_tracks(desk: DialDesk) -> None:
    await desk.ready(kind="managed")
    plan = await desk.order()
    assert (await desk.plane.row(plan.call_id)).media == "tracks"
    assert (await desk.dial(plan.call_id)).kind == "managed"


async def test_same_key_is_the_same_call_also_once_it_is_over(desk: DialDesk) -> None:
    await desk.ready(burst=1)
    first = await desk.order(key="k")
    again = await desk.order(key="k")
    assert (again.call_id, again.room_name) == (first.call_id, first.room_name)
    assert await desk.plane.calls.finish(await desk.plane.row(first.call_id), Reason.NO_AGENT)
    assert (await desk.order(key="k", from_number=OWN)).call_id == first.call_id
    assert await kept(desk) == [first.call_id]


async def test_same_key_at_the_same_time_is_dialled_once(desk: DialDesk) -> None:
    await desk.ready()
    answers = await asyncio.gather(*(desk.order(key="k") for _ in range(4)), return_exceptions=True)
    placed = {answer.call_id for answer in answers if not isinstance(answer, BaseException)}
    assert len(placed) == 1
    assert len(await kept(desk)) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"to_number": "+919876543211"},
        {"bot_id": "other"},
        {"connected_event": {"a": 1}},
        {"from_number": "+911111111111"},
    ],
)
async def test_key_of_another_call_is_refused(desk: DialDesk, other: dict[str, Any]) -> None:
    await desk.ready()
    await desk.order(key="k")
    assert (await denied(desk, key="k", **other)).code is Code.KEY_REUSED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to_number": "701@elsewhere"}, Code.BODY_INVALID),
        ({"from_number": "1\r\n2"}, Code.BODY_INVALID),
        ({"from_number": "+919999999999"}, Code.TRUNK_UNKNOWN),
        ({"trunk_id": "t9"}, Code.TRUNK_UNKNOWN),
        ({"bot_id": "nobody"}, Code.BOT_UNKNOWN),
        ({"bot_id": "nobody", "trunk_id": "t9"}, Code.BOT_UNKNOWN),
    ],
)
async def test_order_that_cannot_be_leaves_nothing(
    desk: DialDesk, changes: dict[str, Any], code: Code
) -> None:
    await desk.ready()
    assert (await denied(desk, **changes)).code is code
    assert await kept(desk) == []
    assert desk.plane.rooms.rooms == set()


async def test_without_trunk_or_agent_nothing_is_dialled(desk: DialDesk) -> None:
    await desk.plane.add_bot()
    assert (await denied(desk)).code is Code.TRUNK_UNAVAILABLE
    await desk.add_trunk()
    assert (await denied(desk)).code is Code.NO_AGENT
    assert await kept(desk) == []


async def test_trunk_dials_no_faster_than_it_may(desk: DialDesk) -> None:
    await desk.ready(cps=0.5, burst=2)
    await desk.order()
    await desk.order()
    refusal = await denied(desk)
    assert (refusal.code, refusal.retry_after_s) == (Code.TRUNK_BUSY, 2)
    assert len(await kept(desk)) == 2
    desk.plane.clock.advance(2)
    await desk.plane.beat()
    await desk.order()


async def test_replicas_share_a_trunks_pace(database: Database, tmp_path: Path) -> None:
    one = DialDesk(ControlPlane(database, tmp_path))
    await one.ready(cps=0.1, burst=3)
    other = DialDesk(ControlPlane(database, tmp_path))
    other.plane._ids = 1000
    orders = [desk.order(key=f"k{n}") for n in range(4) for desk in (one, other)]
    for desk in (one, other):
        desk._orders = 100
    # Keys are shared, too: each call is ordered of both.
    answers = await asyncio.gather(*orders, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(each, Denied) for each in refused)
    assert len(await kept(one)) == 3


async def test_trunk_carries_no_more_calls_than_its_channels(desk: DialDesk) -> None:
    await desk.ready(channels=1)
    plan = await desk.order()
    assert (await denied(desk)).code is Code.AT_CAPACITY
    await desk.plane.calls.finish(await desk.plane.row(plan.call_id), Reason.NO_AGENT)
    await desk.order()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", [1, 2])
async def test_crash_at_any_commit_dials_at_most_once_and_ends_every_call(
    sqlite: FailingDatabase, tmp_path: Path, commit: int, when: When
) -> None:
    plane = ControlPlane(sqlite, tmp_path)
    desk = DialDesk(plane)
    await desk.ready()
    sqlite.fail_at(commit, when)
    placed = await asyncio.gather(desk.order(key="k"), return_exceptions=True)
    if isinstance(placed[0], StoreFailed):
        sqlite.fail_at(0, when)
        placed = await asyncio.gather(desk.order(key="k"), return_exceptions=True)
    if isinstance(placed[0], Denied) and placed[0].code is Code.PLANNING:
        # Half-planned by the process that died: it is ended in its time, and never dialled.
        for _ in range(40):
            plane.clock.advance(1)
            await plane.watch.tick()
        (call_id,) = await kept(desk)
        assert (await plane.row(call_id)).is_ended
        assert await desk.take_now() == []
        return
    assert isinstance(placed[0], Plan)
    call_id = placed[0].call_id
    await desk.join(call_id)
    assert [order.plan.call_id for order in await desk.take()] == [call_id]
    assert await desk.take_now() == []
    assert await kept(desk) == [call_id]
