"""Bridges claim calls to place: each is one bridge's, however many ask and whoever dies over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.outcome import Reason
from sidecar.dial_claims import HELD_OPEN_S
from sidecar.store import calls, trunks
from sidecar.store.database import Database
from tests.fakes.control_plane import ControlPlane
from tests.fakes.dial_desk import OWN, TO, DialDesk
from tests.fakes.failing_database import FailingDatabase, StoreFailed, When


class SlowDatabase(Database):
    """Tells of a commit only when it may."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.is_slow = False
        self.committed = asyncio.Event()
        self.go_on = asyncio.Event()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        async with super().transaction() as connection:
            yield connection
        if self.is_slow:
            self.committed.set()
            await self.go_on.wait()


@pytest.fixture
def desk(plane: ControlPlane) -> DialDesk:
    return DialDesk(plane)


async def test_order_tells_a_bridge_everything(desk: DialDesk) -> None:
    await desk.ready(password="s3same", headers={"X-Tag": "1"})
    call_id = await desk.due()
    (order,) = await desk.take()
    row = await desk.plane.row(call_id)
    assert (order.to_number, order.from_number, order.ringing_timeout_s) == (TO, OWN, 45.0)
    assert (order.plan.room_name, order.plan.caller_identity) == (
        row.room_name,
        row.caller_identity,
    )
    assert order.plan.token
    assert (order.trunk.password, order.trunk.headers) == ("s3same", {"X-Tag": "1"})


async def test_each_dial_is_one_bridges(database: Database, tmp_path: Path) -> None:
    one = DialDesk(ControlPlane(database, tmp_path))
    other = DialDesk(ControlPlane(database, tmp_path))
    await one.ready(burst=8)
    call_ids = [await one.due() for _ in range(6)]
    claims = [desk.take(f"bridge-{n}", 1) for n, desk in enumerate([one, other] * 3)]
    taken = await asyncio.gather(*claims)
    given = [order.plan.call_id for orders in taken for order in orders]
    assert sorted(given) == sorted(call_ids)
    for number, orders in enumerate(taken):
        for order in orders:
            row = await one.plane.row(order.plan.call_id)
            assert row.bridge_id == f"bridge-{number}"


async def test_no_more_than_asked_for_the_oldest_first(desk: DialDesk) -> None:
    await desk.ready()
    call_ids = []
    for _ in range(3):
        call_ids.append(await desk.due())
        desk.plane.clock.advance(0.1)
    orders = await desk.take(max_dials=2)
    assert [order.plan.call_id for order in orders] == call_ids[:2]


async def test_dial_that_waits_for_another_agent_holds_up_no_other(desk: DialDesk) -> None:
    await desk.ready()
    waiting = await desk.plane.row(await desk.due())
    async with desk.database.transaction() as connection:
        await calls.save(connection, waiting, replace(waiting, worker_id=None))
    desk.plane.clock.advance(0.1)
    call_id = await desk.due()
    async with asyncio.timeout(2):
        (order,) = await desk.take(max_dials=1)
    assert order.plan.call_id == call_id


async def test_bridge_that_waits_is_woken(desk: DialDesk) -> None:
    await desk.ready()
    plan = await desk.order()
    began = asyncio.get_running_loop().time()
    waiting = asyncio.create_task(desk.take())
    await asyncio.sleep(0)
    await desk.join(plan.call_id)
    (order,) = await waiting
    assert order.plan.call_id == plan.call_id
    assert asyncio.get_running_loop().time() - began < 2


async def test_managed_dial_is_no_bridges(desk: DialDesk) -> None:
    await desk.ready(kind="managed")
    await desk.due()
    assert await desk.take_now() == []


async def test_bridge_that_leaves_while_it_waits_takes_nothing(desk: DialDesk) -> None:
    await desk.ready()
    waiting = asyncio.create_task(desk.take())
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    call_id = await desk.due()
    assert [order.plan.call_id for order in await desk.take("other")] == [call_id]


async def test_bridge_that_leaves_as_it_is_handed_a_call_loses_it(
    sqlite: Database, tmp_path: Path
) -> None:
    plane = ControlPlane(sqlite, tmp_path)
    slow = SlowDatabase(sqlite.url.render_as_string())
    desk = DialDesk(plane, database=slow)
    await desk.ready()
    call_id = await desk.due()
    slow.is_slow = True
    claiming = asyncio.create_task(desk.take())
    await slow.committed.wait()
    claiming.cancel()
    await asyncio.sleep(0)
    slow.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    row = await plane.row(call_id)
    assert (row.state, row.end_reason) == ("ended", Reason.DIAL_LOST)
    assert await desk.take_now() == []
    await slow.aclose()


async def test_call_whose_trunk_is_gone_is_given_up(desk: DialDesk) -> None:
    await desk.ready()
    call_id = await desk.due()
    async with desk.database.transaction() as connection:
        assert await trunks.remove(connection, "default", "t1")
    assert await desk.take_now() == []
    row = await desk.plane.row(call_id)
    assert (row.end_reason, row.end_detail) == (
        Reason.DIAL_ABORTED,
        "its trunk has been removed",
    )


async def test_call_whose_trunks_secret_is_gone_is_given_up(desk: DialDesk) -> None:
    await desk.ready(password="secret://gone")
    call_id = await desk.due()
    assert await desk.take_now() == []
    assert (await desk.plane.row(call_id)).end_reason is Reason.DIAL_ABORTED


@pytest.mark.parametrize("when", ["before", "after"])
async def test_crash_over_a_claim_hands_no_call_out_twice(
    sqlite: FailingDatabase, tmp_path: Path, when: When
) -> None:
    plane = ControlPlane(sqlite, tmp_path)
    desk = DialDesk(plane)
    await desk.ready()
    call_id = await desk.due()
    sqlite.fail_at(1, when)
    with pytest.raises(StoreFailed):
        await desk.take()
    orders = await desk.take_now()
    if when == "before":
        assert [order.plan.call_id for order in orders] == [call_id]
        return
    # It was claimed, and nobody heard of it: it is never given out again, and comes to its end.
    assert orders == []
    for _ in range(62):
        plane.clock.advance(1)
        await plane.beat()
        await plane.watch.tick()
    row = await plane.row(call_id)
    assert (row.state, row.end_reason) == ("ended", Reason.DIAL_LOST)


async def test_claim_is_held_open_for_so_long(
    desk: DialDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert HELD_OPEN_S == 20.0
    monkeypatch.setattr("sidecar.dial_claims.HELD_OPEN_S", 0.05)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await desk.take() == []
    assert loop.time() - began >= 0.05
