"""Managed dials are placed by one sidecar each; what a dead one had is ended, never tried again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import update

from contracts.outcome import Reason
from contracts.report import LegAnswered, LegEnded, LegRinging
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.telephony import dials
from tests.fakes.control_plane import ControlPlane
from tests.fakes.dial_desk import OWN, TO, DialDesk
from tests.fakes.failing_database import FailingDatabase, StoreFailed, When


@pytest.fixture
def desk(plane: ControlPlane) -> DialDesk:
    return DialDesk(plane)


async def for_ever(_: CallRow) -> None:
    await asyncio.Event().wait()


async def pass_time(desk: DialDesk, seconds: int) -> None:
    for _ in range(seconds):
        desk.plane.clock.advance(1)
        await desk.placing.tick()


async def test_ready_dial_is_placed(desk: DialDesk) -> None:
    await desk.ready(kind="managed", password="s3same")

    async def answer(row: CallRow) -> None:
        await desk.tell(row.call_id, LegAnswered(at=desk.plane.clock()))

    desk.placer.do = answer
    plan = await desk.order()
    await desk.placing.tick()
    assert desk.placer.placed == []
    await desk.join(plan.call_id)
    await desk.placing.tick()
    await desk.placing.placed()
    ((dial, trunk),) = desk.placer.placed
    assert (dial.to_number, dial.from_number, trunk.password) == (TO, OWN, "s3same")
    assert await desk.state(plan.call_id) == ("answered", "settled")
    assert (await desk.plane.row(plan.call_id)).bridge_id == ""


async def test_bridges_dial_is_not_placed_here(desk: DialDesk) -> None:
    await desk.ready(kind="bridge")
    call_id = await desk.due()
    await desk.placing.tick()
    assert await desk.state(call_id) == ("planned", "ready")


async def test_each_dial_is_one_sidecars(database: Database, tmp_path: Path) -> None:
    one = DialDesk(ControlPlane(database, tmp_path))
    other = DialDesk(ControlPlane(database, tmp_path))
    other.placing = other.new_placing("sidecar-2")
    await one.ready(kind="managed", burst=8)
    call_ids = [await one.due() for _ in range(6)]
    for desk in (one, other):
        desk.placer.do = for_ever
    await asyncio.gather(one.placing.tick(), other.placing.tick())

    def placed() -> list[str]:
        return [dial.call_id for desk in (one, other) for dial, _ in desk.placer.placed]

    async with asyncio.timeout(10):
        while len(placed()) < len(call_ids):  # noqa: ASYNC110 - the placer tells nobody
            await asyncio.sleep(0.01)
    for desk in (one, other):
        await desk.placing.aclose()
    assert sorted(placed()) == sorted(call_ids)


async def test_placer_that_tells_nothing_leaves_a_lost_dial(desk: DialDesk) -> None:
    await desk.ready(kind="managed")
    call_id = await desk.due()
    await desk.placing.tick()
    await desk.placing.placed()
    assert await desk.state(call_id) == ("ended", "settled")
    assert (await desk.plane.row(call_id)).end_reason is Reason.DIAL_LOST


async def test_placer_that_fails_leaves_a_lost_dial(desk: DialDesk) -> None:
    await desk.ready(kind="managed")

    async def fail(_: CallRow) -> None:
        raise ZeroDivisionError

    desk.placer.do = fail
    call_id = await desk.due()
    await desk.placing.tick()
    await desk.placing.placed()
    row = await desk.plane.row(call_id)
    assert (row.end_reason, row.end_detail) == (
        Reason.DIAL_LOST,
        "placing the call failed: ZeroDivisionError",
    )


async def test_placers_own_word_stands(desk: DialDesk) -> None:
    await desk.ready(kind="managed")

    async def busy(row: CallRow) -> None:
        over = LegEnded(at=desk.plane.clock(), reason=Reason.BUSY, sip_status_code=486)
        await desk.tell(row.call_id, over)

    desk.placer.do = busy
    call_id = await desk.due()
    await desk.placing.tick()
    await desk.placing.placed()
    row = await desk.plane.row(call_id)
    assert (row.end_reason, row.leg_ended) == (Reason.BUSY, True)
    assert (await desk.dial(call_id)).sip_status_code == 486


async def test_trunk_that_is_not_ours_is_livekits(desk: DialDesk) -> None:
    await desk.ready(kind="managed")
    call_id = await desk.due()
    async with desk.database.transaction() as connection:
        await connection.execute(update(dials).values(trunk_id="ST_theirs"))
    await desk.placing.tick()
    await desk.placing.placed()
    assert desk.placer.placed[0][1].trunk_id == "ST_theirs"
    assert (await desk.plane.row(call_id)).is_ended


async def test_secret_that_is_gone_gives_the_call_up(desk: DialDesk) -> None:
    await desk.ready(kind="managed", password="secret://gone")
    call_id = await desk.due()
    await desk.placing.tick()
    await desk.placing.placed()
    assert (await desk.plane.row(call_id)).end_reason is Reason.DIAL_ABORTED
    assert desk.placer.placed == []


async def test_stop_gives_ringing_calls_up(desk: DialDesk) -> None:
    await desk.ready(kind="managed")
    desk.placer.do = for_ever
    call_id = await desk.due()
    await desk.placing.tick()
    await desk.placer.began.wait()
    await desk.tell(call_id, LegRinging(at=desk.plane.clock()))
    await desk.placing.aclose()
    row = await desk.plane.row(call_id)
    assert row.end_reason is Reason.DIAL_ABORTED
    assert row.room_name not in desk.plane.rooms.rooms


async def test_sidecar_that_lives_keeps_what_it_places(desk: DialDesk) -> None:
    await desk.ready(kind="managed")
    desk.placer.do = for_ever
    call_id = await desk.due()
    other = desk.new_placing("sidecar-2")
    for _ in range(40):
        await pass_time(desk, 1)
        await other.tick()
    assert await desk.state(call_id) == ("planned", "claimed")
    await desk.placing.aclose()


async def test_successor_ends_what_the_dead_one_placed_and_never_places_it(desk: DialDesk) -> None:
    await desk.ready(kind="managed")
    desk.placer.do = for_ever
    call_id = await desk.due()
    await desk.placing.tick()
    await desk.placer.began.wait()
    # The process dies here; its successor has another name, and finds a lease.
    dead, desk.placing = desk.placing, desk.new_placing("sidecar-2")
    await pass_time(desk, 19)
    assert await desk.state(call_id) == ("planned", "claimed")
    await pass_time(desk, 3)
    row = await desk.plane.row(call_id)
    assert (row.end_reason, row.end_detail) == (
        Reason.DIAL_LOST,
        "whoever placed the call is gone",
    )
    assert len(desk.placer.placed) == 1
    await dead.aclose()


async def test_clock_that_is_set_loses_no_call(desk: DialDesk) -> None:
    await desk.ready(kind="managed")
    desk.placer.do = for_ever
    call_id = await desk.due()
    other = desk.new_placing("sidecar-2")
    await desk.placing.tick()
    desk.plane.clock.at = desk.plane.clock.advance(0).replace(year=2027)
    await other.tick()
    await desk.placing.tick()
    await other.tick()
    assert await desk.state(call_id) == ("planned", "claimed")
    await desk.placing.aclose()


async def test_bridge_that_never_comes_to_an_end_is_ended(desk: DialDesk) -> None:
    await desk.ready()
    call_id = await desk.due()
    await desk.take()
    await pass_time(desk, 74)
    assert await desk.state(call_id) == ("planned", "claimed")
    await pass_time(desk, 3)
    assert (await desk.plane.row(call_id)).end_reason is Reason.DIAL_LOST


@pytest.mark.parametrize("when", ["before", "after"])
async def test_crash_over_the_claim_places_at_most_once(
    sqlite: FailingDatabase, tmp_path: Path, when: When
) -> None:
    desk = DialDesk(ControlPlane(sqlite, tmp_path))
    await desk.ready(kind="managed")
    call_id = await desk.due()
    sqlite.fail_at(1, when)
    with pytest.raises(StoreFailed):
        await desk.placing.tick()
    desk.placing = desk.new_placing("sidecar-2")
    await pass_time(desk, 25)
    await desk.placing.placed()
    assert len(desk.placer.placed) == (1 if when == "before" else 0)
    assert await desk.state(call_id) == ("ended", "settled")
    assert await desk.plane.result(call_id) is not None
