"""Silence: whose it is, and when it counts; on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from contracts.call import CallState
from contracts.outcome import Reason
from contracts.report import Heartbeat, LegEnded, LostJob, Source
from sidecar.store import workers
from tests.fakes.control_plane import ControlPlane
from tests.fakes.failing_database import FailingDatabase
from tests.sidecar.test_loss import WORKER, lose, talking
from tests.sidecar.test_watch import tick


async def test_calls_of_a_silent_worker_are_given_to_another(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await tick(plane, 3)
    assert (await plane.row(call_id)).incarnation == 1
    await tick(plane, 0.5)
    assert (await plane.row(call_id)).incarnation == 2


async def test_worker_that_beats_is_not_missed(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    for _ in range(10):
        await plane.beat(calls=[call_id])
        await tick(plane, 1)
    assert (await plane.row(call_id)).incarnation == 1


async def test_silence_is_nobodys_where_the_sidecar_itself_stood_still(
    plane: ControlPlane,
) -> None:
    call_id = await talking(plane)
    await plane.watch.tick()
    plane.clock.advance(600)
    await plane.watch.tick()
    assert (await plane.row(call_id)).incarnation == 1
    await tick(plane, 2)
    assert (await plane.row(call_id)).incarnation == 1
    await tick(plane, 2)
    assert (await plane.row(call_id)).incarnation == 2


async def test_store_that_takes_no_signs_of_life_makes_nobody_dead(
    sqlite: FailingDatabase, tmp_path: Path
) -> None:
    plane = ControlPlane(sqlite, tmp_path)
    await plane.beat("bridge")
    call_id = await talking(plane, bridge_id="bridge-1")
    for _ in range(10):
        for kind in ("agent", "bridge"):
            sqlite.be_away(0, 1)
            with pytest.raises(OperationalError):
                await plane.beat(kind, calls=[call_id])
        await tick(plane, 1)
    row = await plane.row(call_id)
    assert (row.incarnation, row.leg_ended) == (1, False)


async def test_worker_whose_heartbeat_waits_for_a_locked_store_is_alive(
    plane: ControlPlane,
) -> None:
    call_id = await talking(plane)
    with plane.hearing.taking(WORKER, plane.clock):
        await tick(plane, 10)
        assert (await plane.row(call_id)).incarnation == 1
    await tick(plane, 3)
    assert (await plane.row(call_id)).incarnation == 1
    await tick(plane, 1)
    assert (await plane.row(call_id)).incarnation == 2


async def test_worker_heard_by_a_sidecar_whose_clock_is_wrong_is_alive(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    for wrong_by_s in (-30, 30):
        for _ in range(6):
            at = plane.clock() + timedelta(seconds=wrong_by_s)
            beat = Heartbeat(
                kind="agent",
                id=WORKER,
                host="host",
                pid=7,
                ready=True,
                max_calls=8,
                started_at=at,
            )
            async with plane.database.transaction() as connection:
                await workers.seen(connection, "default", beat, at)
            await tick(plane, 1)
    assert (await plane.row(call_id)).incarnation == 1
    await tick(plane, 4)
    assert (await plane.row(call_id)).incarnation == 2


async def test_worker_heard_again_while_its_loss_waited_is_not_missed(plane: ControlPlane) -> None:
    call_id = await talking(plane, bridge_id="bridge-1")
    row = await plane.row(call_id)
    lost = LostJob(call_id=call_id, incarnation=1)
    await plane.losses.agent("default", lost, is_gone=lambda: False)
    await plane.losses.bridge(row, is_gone=lambda: False)
    assert await plane.row(call_id) == row


async def test_livekit_that_hangs_holds_up_nobody_that_dies(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.watch.IN_HAND_S", 0.02)
    await plane.ready()
    await plane.end(await plane.talking("k0"))
    lets_go = asyncio.Event()
    monkeypatch.setattr(plane.rooms, "delete", lambda _: lets_go.wait())
    call_id = await talking(plane)
    await tick(plane, 4)
    # A busy machine may take longer than a look waits; the work goes on beside the looks.
    async with asyncio.timeout(20):
        while (await plane.row(call_id)).incarnation != 2:
            await tick(plane, 0)
    lets_go.set()
    await tick(plane, 1)


async def test_second_loss_told_after_a_start_waits_for_what_the_bridge_kept(
    plane: ControlPlane,
) -> None:
    await plane.beat("bridge")
    call_id = await talking(plane, bridge_id="bridge-1")
    await lose(plane, call_id)
    await plane.claim(call_id, 2, WORKER)
    hung_up_at = plane.clock()
    await tick(plane, 1)
    await plane.watch.start()
    await lose(plane, call_id, 2)
    await tick(plane, 0)
    assert (await plane.row(call_id)).state is not CallState.ENDED
    ended = LegEnded(at=hung_up_at, reason=Reason.CALLER_HUNG_UP)
    await plane.report(call_id, Source.BRIDGE, 2, ended)
    await tick(plane, 10)
    row = await plane.row(call_id)
    assert (row.state, row.end_reason) == (CallState.ENDED, Reason.CALLER_HUNG_UP)
    assert len(plane.rooms.dispatches) == 2


async def test_call_of_a_day_has_its_room_no_longer_than_any(plane: ControlPlane) -> None:
    call_id = await talking(plane, cap_s=86_400, key="k2")
    row = await plane.row(call_id)
    assert row.expires_at == row.planned_at + timedelta(seconds=plane.settings.max_room_s)


async def test_replica_that_cannot_act_waits_anew_before_it_does(
    sqlite: FailingDatabase, tmp_path: Path
) -> None:
    plane = ControlPlane(sqlite, tmp_path)
    call_id = await talking(plane)
    await tick(plane, 3)
    plane.clock.advance(1)
    sqlite.be_away(0, 1)
    with pytest.raises(ExceptionGroup):
        await plane.watch.tick()
    # By now whoever lives has reached the other replica.
    await tick(plane, 3)
    assert (await plane.row(call_id)).incarnation == 1
    await tick(plane, 1)
    assert (await plane.row(call_id)).incarnation == 2


async def test_clock_that_is_set_ends_nothing(plane: ControlPlane) -> None:
    call_id = await talking(plane, cap_s=100, key="k2", bridge_id="bridge-1")
    await plane.watch.tick()
    plane.clock.at += timedelta(hours=1)
    for _ in range(60):
        await plane.beat(calls=[call_id])
        await plane.beat("bridge", calls=[call_id])
        await tick(plane, 1)
    row = await plane.row(call_id)
    assert (row.state, row.incarnation) == (CallState.TALKING, 1)
