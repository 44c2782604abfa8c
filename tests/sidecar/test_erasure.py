"""Erasing calls on demand and by age: every copy goes, and nothing of them can come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from contracts.outcome import Reason
from contracts.report import AgentEnded, LegEnded, Source, TranscriptLine
from sidecar import erasure
from sidecar.denial import Code, Denied
from sidecar.erasure import BATCH, Erased, Erasures, RecordingStuck
from sidecar.store import erasures as stored
from sidecar.store.database import Database
from sidecar.store.tables import DEFAULT_TENANT, deliveries, reported_results, tenants
from tests.fakes.control_plane import START, ControlPlane
from tests.fakes.dump import dump
from tests.fakes.recordings import offer_of, wav_of

NAME, NUMBER = "Ludmilla Quux", "+49 30 9876543"
PROMISE = timedelta(days=3)


class Shelf:
    """Where recordings are, as far as erasing goes.

    Attributes:
        removed: what was removed from where, in order.
        failure: raised instead while set.
    """

    def __init__(self) -> None:
        self.removed: list[tuple[str, str]] = []
        self.failure: RecordingStuck | None = None

    async def delete(self, key: str, place: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.removed.append((key, place))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def erasures_of(plane: ControlPlane, shelf: Shelf, *, retention_days: int = 0) -> Erasures:
    return Erasures(
        plane.database,
        shelf,
        retention_days=retention_days,
        promise=PROMISE,
        clock=plane.clock,
        closing=plane.bells.closing,
    )


@pytest.fixture
def erasures(plane: ControlPlane, shelf: Shelf) -> Erasures:
    return erasures_of(plane, shelf)


async def talked(plane: ControlPlane, key: str = "k1", number: str = NUMBER) -> str:
    """Hold a call in which the caller's name is said; return its id."""
    call_id = await plane.talking(
        key, caller_id=number, stream_id=f"s-{key}", connected_event={"customer_name": NAME}
    )
    line = TranscriptLine(at=plane.clock(), speaker="customer", text=f"I am {NAME}")
    await plane.report(call_id, Source.AGENT, 3, line)
    now = plane.clock()
    ended = LegEnded(at=now, reason=Reason.CALLER_HUNG_UP)
    await plane.report(call_id, Source.BRIDGE, 2, ended)
    gone = AgentEnded(at=now, reason=Reason.CALLER_HUNG_UP)
    await plane.report(call_id, Source.AGENT, 4, gone)
    return call_id


async def deliver_all(plane: ControlPlane) -> None:
    async with plane.database.transaction() as connection:
        await connection.execute(deliveries.update().values(state="delivered"))


async def refusal(plane: ControlPlane, call_id: str) -> Code:
    line = TranscriptLine(at=plane.clock(), speaker="bot", text="late")
    with pytest.raises(Denied) as denied:
        await plane.report(call_id, Source.AGENT, 5, line)
    return denied.value.code


async def test_erased_call_leaves_only_that_it_was(
    plane: ControlPlane, erasures: Erasures, shelf: Shelf
) -> None:
    await plane.ready()
    call_id = await talked(plane)
    assert NAME in await dump(plane.database)
    assert await erasures.call(DEFAULT_TENANT, call_id) == Erased(calls=1)
    left = await dump(plane.database, without={"bots", "bot_versions"})
    assert NAME not in left
    assert "9876543" not in left
    assert shelf.removed == [(f"recordings/2026/06/05/{call_id}.wav", "folder")]
    assert [line.split()[0] for line in left.splitlines() if call_id in line] == ["erased_calls"]


async def test_whoever_comes_late_with_a_part_of_it_is_told(
    plane: ControlPlane, erasures: Erasures
) -> None:
    await plane.ready()
    call_id = await talked(plane)
    await erasures.call(DEFAULT_TENANT, call_id)
    assert await refusal(plane, call_id) is Code.CALL_ERASED
    assert await refusal(plane, "unknown") is Code.CALL_UNKNOWN
    with pytest.raises(Denied) as denied:
        await erasures.call(DEFAULT_TENANT, call_id)
    assert denied.value.code is Code.CALL_ERASED


async def test_recording_that_arrives_during_erasure_is_deleted(
    plane: ControlPlane, erasures: Erasures
) -> None:
    await plane.ready()
    call_id = await talked(plane)

    content = wav_of((1.0, 1))

    async def upload() -> AsyncIterator[bytes]:
        yield content[:44]
        await erasures.call(DEFAULT_TENANT, call_id)
        yield content[44:]

    with pytest.raises(Denied) as denied:
        await plane.archive.take(DEFAULT_TENANT, call_id, offer_of(content), upload())
    assert denied.value.code is Code.CALL_ERASED
    assert [path for path in plane.folder.path.rglob("*") if path.is_file()] == []


async def test_call_that_has_not_ended_is_not_erased(
    plane: ControlPlane, erasures: Erasures
) -> None:
    await plane.ready()
    call_id = await plane.talking()
    with pytest.raises(Denied) as denied:
        await erasures.call(DEFAULT_TENANT, call_id)
    assert denied.value.code is Code.CALL_LIVE
    await plane.row(call_id)


async def test_call_of_another_tenant_is_unknown(plane: ControlPlane, erasures: Erasures) -> None:
    await plane.ready()
    call_id = await talked(plane)
    with pytest.raises(Denied) as denied:
        await erasures.call("other", call_id)
    assert denied.value.code is Code.CALL_UNKNOWN
    await plane.row(call_id)


async def test_erasing_by_number_takes_every_call_and_says_which_it_had_to_leave(
    plane: ControlPlane, erasures: Erasures
) -> None:
    await plane.ready()
    gone = [await talked(plane, f"k{n}", spelt) for n, spelt in enumerate((NUMBER, "00499876543"))]
    gone.append(await talked(plane, "k7", "+49309876543"))
    other = await talked(plane, "k8", "+49309876544")
    live = await plane.talking("k9", caller_id=NUMBER)
    async with plane.database.transaction() as connection:
        posted = {"tenant_id": DEFAULT_TENANT, "session_id": "theirs", "status": "completed"}
        times = {"created_at": START, "completed_at": START}
        body = {"caller_id": NUMBER}
        await connection.execute(insert(reported_results).values(**posted, **times, body=body))
    erased = await erasures.number(DEFAULT_TENANT, "0049 (30) 9876543")
    assert erased == Erased(calls=2, records=1, live=[live])
    await plane.row(other)
    await plane.row(gone[1])
    assert await refusal(plane, gone[0]) is Code.CALL_ERASED


@pytest.mark.parametrize("text", ["", "12345", "00012345", "anonymous", "1234567890123456789"])
async def test_what_is_no_number_erases_nothing(
    plane: ControlPlane, erasures: Erasures, text: str
) -> None:
    with pytest.raises(Denied) as denied:
        await erasures.number(DEFAULT_TENANT, text)
    assert denied.value.code is Code.BODY_INVALID


async def test_recording_that_will_not_go_is_removed_later(
    plane: ControlPlane, erasures: Erasures, shelf: Shelf
) -> None:
    await plane.ready()
    call_id = await talked(plane)
    shelf.failure = RecordingStuck("away")
    assert (await erasures.call(DEFAULT_TENANT, call_id)).recordings_pending == 1
    shelf.failure = None
    await erasures.tick()
    assert shelf.removed == []
    plane.clock.advance(erasure.RECORDING_RETRY.total_seconds())
    await erasures.tick()
    assert shelf.removed == [(f"recordings/2026/06/05/{call_id}.wav", "folder")]
    plane.clock.advance(3600)
    await erasures.tick()
    assert len(shelf.removed) == 1


async def test_old_calls_go_once_their_result_is_delivered(
    plane: ControlPlane, shelf: Shelf
) -> None:
    erasures = erasures_of(plane, shelf, retention_days=1)
    await plane.ready()
    call_id = await talked(plane)
    plane.clock.advance(86_400)
    assert not await erasures.tick()
    await plane.row(call_id)
    plane.clock.advance(1)
    await erasures.tick()
    await plane.row(call_id)
    await deliver_all(plane)
    await erasures.tick()
    assert await refusal(plane, call_id) is Code.CALL_ERASED


async def test_result_nobody_takes_keeps_a_call_no_longer_than_promised(
    plane: ControlPlane, shelf: Shelf
) -> None:
    erasures = erasures_of(plane, shelf, retention_days=1)
    await plane.ready()
    call_id = await talked(plane)
    plane.clock.advance((PROMISE + erasure.PROMISE_SLACK).total_seconds())
    await erasures.tick()
    await plane.row(call_id)
    plane.clock.advance(1)
    await erasures.tick()
    assert await refusal(plane, call_id) is Code.CALL_ERASED


@pytest.mark.parametrize(("own_days", "kept"), [(None, False), (30, True), (0, True)])
async def test_tenant_has_the_last_word_on_retention(
    plane: ControlPlane, shelf: Shelf, own_days: int | None, kept: bool
) -> None:
    erasures = erasures_of(plane, shelf, retention_days=7)
    await plane.ready()
    call_id = await talked(plane)
    await deliver_all(plane)
    async with plane.database.transaction() as connection:
        await connection.execute(tenants.update().values(retention_days=own_days))
    plane.clock.advance(8 * 86_400)
    try:
        await erasures.tick()
        async with plane.database.read() as connection:
            assert await stored.is_erased(connection, DEFAULT_TENANT, call_id) is not kept
    finally:
        async with plane.database.transaction() as connection:
            await connection.execute(tenants.update().values(retention_days=None))


async def test_many_old_calls_go_in_small_batches(plane: ControlPlane, shelf: Shelf) -> None:
    erasures = erasures_of(plane, shelf, retention_days=1)
    posted = [
        {
            "tenant_id": DEFAULT_TENANT,
            "session_id": f"s{n}",
            "status": "completed",
            "created_at": START,
            "completed_at": START,
            "body": {},
        }
        for n in range(BATCH + 1)
    ]
    async with plane.database.transaction() as connection:
        await connection.execute(insert(reported_results), posted)
    plane.clock.advance(2 * 86_400)
    assert await erasures.tick()
    assert (await dump(plane.database)).count("reported_results ") == 1
    assert not await erasures.tick()
    assert "reported_results " not in await dump(plane.database)


async def test_that_a_call_was_erased_is_forgotten_in_the_end(
    plane: ControlPlane, erasures: Erasures
) -> None:
    await plane.ready()
    call_id = await talked(plane)
    await erasures.call(DEFAULT_TENANT, call_id)
    plane.clock.advance(erasure.REMEMBERED.total_seconds() + 1)
    await erasures.tick()
    assert await refusal(plane, call_id) is Code.CALL_UNKNOWN


async def test_two_replicas_erase_the_same_calls_side_by_side(
    plane: ControlPlane, shelf: Shelf, database: Database
) -> None:
    both = [erasures_of(plane, shelf, retention_days=1) for _ in range(2)]
    await plane.ready()
    calls = [await talked(plane, f"k{n}") for n in range(5)]
    await deliver_all(plane)
    plane.clock.advance(2 * 86_400)
    await asyncio.gather(*(each.tick() for each in both))
    assert {await refusal(plane, call_id) for call_id in calls} == {Code.CALL_ERASED}
    keys = {f"recordings/2026/06/05/{call_id}.wav" for call_id in calls}
    assert {key for key, _ in shelf.removed} == keys


async def test_sqlite_files_hold_nothing_of_what_was_erased(
    sqlite: Database, tmp_path: Path, shelf: Shelf
) -> None:
    plane = ControlPlane(sqlite, tmp_path / "recordings")
    await plane.ready()
    erasures = erasures_of(plane, shelf)
    for number in range(40):
        await talked(plane, f"k{number}", f"+49 30 9{number:02}0000")
    assert any(NAME.encode() in path.read_bytes() for path in tmp_path.glob("*.db*"))
    # A live call keeps the file from being written anew: that follows when it has ended.
    live = await plane.talking("live", caller_id="+15550100")
    for number in range(40):
        assert (await erasures.number(DEFAULT_TENANT, f"+49309{number:02}0000")).calls == 1
    large = (tmp_path / "voicefleet.db").stat().st_size
    await plane.end(live)
    await erasures.tick()
    assert (tmp_path / "voicefleet.db").stat().st_size < large
    held = b"".join(path.read_bytes() for path in tmp_path.glob("*.db*"))
    assert NAME.encode() not in held
    assert b"+49 30 9" not in held
    assert live.encode() in held
