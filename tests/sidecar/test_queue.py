"""Calls that may wait go in their order as soon as they can, or fail in time; each is one call."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts.outcome import Reason
from sidecar.denial import Code, Denied
from sidecar.queue import LEASE, TOO_LATE
from sidecar.store import calls, queue
from sidecar.store.database import Database
from tests.fakes.control_plane import ControlPlane
from tests.fakes.dial_desk import TO, DialDesk
from tests.fakes.failing_database import FailingDatabase, StoreFailed, When


@pytest.fixture
def desk(plane: ControlPlane) -> DialDesk:
    return DialDesk(plane)


async def drain(desk: DialDesk) -> None:
    while await desk.queue.tick():
        pass


async def later(desk: DialDesk, seconds: float) -> None:
    desk.plane.clock.advance(seconds)
    await desk.plane.beat()
    await drain(desk)


async def made(desk: DialDesk) -> list[str]:
    async with desk.database.read() as connection:
        return [row.call_id for row in await calls.page(connection, "default")]


async def test_call_that_need_not_wait_is_dispatched(desk: DialDesk) -> None:
    await desk.ready()
    item = await desk.wish(to_number="919876543210", metadata={"name": "Asha"})
    assert (item.state, item.to_number) == ("pending", TO)
    await drain(desk)
    item = await desk.item(item.queue_id)
    assert (item.state, item.dispatched_at) == ("dispatched", desk.plane.clock())
    assert item.call_id is not None
    row = await desk.plane.row(item.call_id)
    assert (row.caller_id, row.trunk_id, row.connected_event) == (TO, "t1", {"name": "Asha"})


async def test_calls_wait_for_a_slot_in_their_order(desk: DialDesk) -> None:
    await desk.ready(channels=1)
    items = []
    for _ in range(3):
        items.append(await desk.wish())
        desk.plane.clock.advance(0.1)
    await drain(desk)
    states = [(await desk.item(item.queue_id)).state for item in items]
    assert states == ["dispatched", "pending", "pending"]
    first = await desk.item(items[0].queue_id)
    await desk.plane.calls.finish(await desk.plane.row(first.call_id or ""), Reason.NO_AGENT)
    await later(desk, 1)
    states = [(await desk.item(item.queue_id)).state for item in items]
    assert states == ["dispatched", "dispatched", "pending"]


async def test_calls_go_at_their_trunks_pace_and_hold_up_no_other_trunk(desk: DialDesk) -> None:
    await desk.ready(cps=0.1, burst=1)
    await desk.add_trunk("t2")
    slow, waits, other = await desk.wish(), await desk.wish(), await desk.wish(trunk_id="t2")
    await drain(desk)
    assert (await desk.item(slow.queue_id)).state == "dispatched"
    assert (await desk.item(other.queue_id)).state == "dispatched"
    for _ in range(9):
        await later(desk, 1)
    assert (await desk.item(waits.queue_id)).state == "pending"
    await later(desk, 1)
    assert (await desk.item(waits.queue_id)).state == "dispatched"


async def test_call_waits_for_agents_to_come(desk: DialDesk) -> None:
    await desk.plane.add_bot()
    await desk.add_trunk()
    item = await desk.wish()
    await drain(desk)
    assert (await desk.item(item.queue_id)).state == "pending"
    assert await made(desk) == []
    await later(desk, 1)
    assert (await desk.item(item.queue_id)).state == "dispatched"


async def test_call_that_waits_too_long_fails(database: Database, tmp_path: Path) -> None:
    desk = DialDesk(ControlPlane(database, tmp_path, queue_max_s=10))
    await desk.plane.add_bot()
    await desk.add_trunk()
    item = await desk.wish()
    desk.plane.clock.advance(9.9)
    await drain(desk)
    assert (await desk.item(item.queue_id)).state == "pending"
    desk.plane.clock.advance(0.1)
    await drain(desk)
    failed = await desk.item(item.queue_id)
    assert (failed.state, failed.last_error, failed.call_id) == ("failed", TOO_LATE, None)
    await later(desk, 1)
    assert await made(desk) == []


async def test_call_that_can_never_go_fails_at_once(desk: DialDesk) -> None:
    await desk.ready()
    item = await desk.wish(bot_id="nobody")
    await drain(desk)
    failed = await desk.item(item.queue_id)
    assert (failed.state, failed.retry_count, failed.call_id) == ("failed", 0, None)
    assert (failed.last_error or "").startswith("bot_unknown: ")


async def test_closed_bots_call_fails_with_the_call_it_left(desk: DialDesk) -> None:
    await desk.ready()
    await desk.plane.add_bot(active_hours={"enabled": True, "days": []})
    item = await desk.wish()
    await drain(desk)
    failed = await desk.item(item.queue_id)
    assert failed.state == "failed"
    assert await made(desk) == [failed.call_id]
    result = await desk.plane.result(failed.call_id or "")
    assert result is not None
    assert result["disconnected_by"] == "outside_hours"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"trunk_id": "t9"}, Code.TRUNK_UNKNOWN),
        ({"trunk_id": "off"}, Code.BODY_INVALID),
        ({"trunk_id": "twilio"}, Code.BODY_INVALID),
        ({"to_number": "a@b"}, Code.BODY_INVALID),
    ],
)
async def test_wish_that_cannot_be_is_refused(
    desk: DialDesk, changes: dict[str, Any], code: Code
) -> None:
    await desk.ready()
    await desk.add_trunk("off", is_active=False)
    await desk.add_trunk("twilio", service="twilio")
    with pytest.raises(Denied) as denied:
        await desk.wish(**changes)
    assert denied.value.code is code


async def test_same_key_is_the_same_item_and_another_wish_is_refused(desk: DialDesk) -> None:
    await desk.ready()
    item = await desk.wish(key="k", metadata={"a": 1})
    await drain(desk)
    assert (await desk.wish(key="k", metadata={"a": 1})).queue_id == item.queue_id
    with pytest.raises(Denied) as denied:
        await desk.wish(key="k", metadata={"a": 2})
    assert denied.value.code is Code.KEY_REUSED
    assert (await desk.wish(metadata={"a": 1})).queue_id != item.queue_id


async def test_two_dispatchers_make_one_call_each(database: Database, tmp_path: Path) -> None:
    one = DialDesk(ControlPlane(database, tmp_path))
    other = DialDesk(ControlPlane(database, tmp_path))
    other.plane._ids = 1000
    await one.ready(burst=8)
    items = [await one.wish() for _ in range(5)]
    await asyncio.gather(drain(one), drain(other), drain(one), drain(other))
    dispatched = [await one.item(item.queue_id) for item in items]
    assert {item.state for item in dispatched} == {"dispatched"}
    assert sorted(item.call_id or "" for item in dispatched) == sorted(await made(one))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("commit", [1, 2, 3, 4])
async def test_crash_at_any_commit_makes_one_call_and_says_which(
    sqlite: FailingDatabase, tmp_path: Path, commit: int, when: When
) -> None:
    desk = DialDesk(ControlPlane(sqlite, tmp_path))
    await desk.ready()
    item = await desk.wish()
    sqlite.fail_at(commit, when)
    with pytest.raises(StoreFailed):
        await drain(desk)
    for _ in range(70):
        desk.plane.clock.advance(1)
        await desk.plane.beat()
        await desk.plane.watch.tick()
        await drain(desk)
    over = await desk.item(item.queue_id)
    assert await made(desk) == [over.call_id]
    row = await desk.plane.row(over.call_id or "")
    # Left half-planned it is ended, never dialled, and the item says so.
    assert over.state == ("dispatched" if row.config is not None else "failed")


async def test_item_of_a_dead_dispatcher_does_not_hang_on_a_trunk_that_is_busy(
    desk: DialDesk,
) -> None:
    await desk.ready(channels=1)
    item = await desk.wish()
    now = desk.plane.clock()
    async with desk.database.transaction() as connection:
        # Whoever took it is never heard of again.
        await queue.take(connection, now, now + LEASE, trunk_ids=["t1"])
    await desk.order()
    await later(desk, LEASE.total_seconds())
    assert (await desk.item(item.queue_id)).state == "pending"
    await later(desk, 1000)
    failed = await desk.item(item.queue_id)
    assert (failed.state, failed.call_id) == ("failed", None)
