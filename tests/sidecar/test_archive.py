"""Recordings taken in: to a folder or a bucket, joined whichever comes first, never by halves."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.event import EventType
from contracts.outcome import Reason
from contracts.report import AgentEnded, LegEnded, Source
from sidecar.archive import Archive
from sidecar.denial import Code, Denied
from sidecar.erasure import RecordingStuck
from sidecar.recording import RecordingFolder
from sidecar.store import erasures, events, recordings
from sidecar.store.recordings import RecordingRow
from sidecar.store.tables import DEFAULT_TENANT as T
from tests.fakes.buckets import MemoryBucket
from tests.fakes.control_plane import ControlPlane
from tests.fakes.recordings import chunks, offer_of, stretches_of, wav_of

FIRST = wav_of((1.0, 1))
SECOND = wav_of((2.5, 0), (1.0, 2))
THIRD = wav_of((5.0, 0), (1.0, 3))
SEGMENTS = {1: FIRST, 2: SECOND, 3: THIRD}
ALL_THREE = [(1.0, 1), (1.5, 0), (1.0, 2), (1.5, 0), (1.0, 3)]


class HesitantArchive(Archive):
    """Lets `before_note` happen, once, between what it makes and its note of it."""

    before_note: Callable[[], Awaitable[None]] | None = None

    async def _note(self, place: Any, stored: Any) -> None:
        before_note, self.before_note = self.before_note, None
        if before_note is not None:
            await before_note()
        await super()._note(place, stored)


class Shelf:
    """One way of keeping recordings: what a host does with it, and what is then there."""

    def __init__(self, plane: ControlPlane, bucket: MemoryBucket | None) -> None:
        self.plane = plane
        self.bucket = bucket
        self.archive = HesitantArchive(
            plane.database, plane.folder, bucket, clock=plane.clock, bells=plane.bells
        )

    def sibling(self) -> Shelf:
        """Return the same shelf as another replica of the sidecar has it."""
        return Shelf(self.plane, self.bucket)

    async def hand_over(self, call_id: str, content: bytes, incarnation: int = 1) -> None:
        """Do what `agent.uploads` does."""
        offer = offer_of(content, incarnation)
        target = await self.archive.offer(T, call_id, offer)
        if self.bucket is None:
            await self.archive.take(T, call_id, offer, chunks(content))
            return
        assert target.url
        self.bucket.objects[target.key] = content
        await self.archive.confirm(T, call_id, offer, target.key)

    async def row(self, call_id: str) -> RecordingRow:
        async with self.plane.database.read() as connection:
            row = await recordings.of_call(connection, T, call_id)
        assert row is not None
        return row

    async def kept(self, call_id: str) -> bytes:
        """Return the recording, which must be as its row says."""
        row = await self.row(call_id)
        if self.bucket is not None:
            content = self.bucket.objects[row.recording_key]
        else:
            path = self.plane.folder.file_of(row.recording_key)
            assert path is not None
            content = path.read_bytes()
        told = offer_of(content)
        assert (row.size_bytes, row.sha256) == (told.size_bytes, told.sha256)
        assert row.duration_s == pytest.approx(told.duration_s)
        assert row.stored_at is not None
        assert row.place == ("folder" if self.bucket is None else "s3")
        return content

    async def told(self, call_id: str) -> list[float]:
        """Return the durations that were announced."""
        async with self.plane.database.read() as connection:
            found = await events.after(
                connection, T, 0, call_id=call_id, types=[EventType.RECORDING]
            )
        return [event.data["duration_s"] for event in found]


@pytest.fixture(params=["folder", "bucket"])
def shelf(request: pytest.FixtureRequest, plane: ControlPlane) -> Shelf:
    return Shelf(plane, MemoryBucket() if request.param == "bucket" else None)


@pytest.fixture
def bucket_shelf(plane: ControlPlane) -> Shelf:
    return Shelf(plane, MemoryBucket())


def bucket_of(shelf: Shelf) -> MemoryBucket:
    assert shelf.bucket is not None
    return shelf.bucket


async def ended_call(plane: ControlPlane, agents: int = 1) -> str:
    """Return an answered and ended call that so many agents have served, one after the other."""
    await plane.ready()
    call_id = await plane.talking()
    for _ in range(agents - 1):
        await plane.calls.raise_incarnation(await plane.row(call_id))
    now, reason = plane.clock(), Reason.CALLER_HUNG_UP
    await plane.report(call_id, Source.BRIDGE, 2, LegEnded(at=now, reason=reason))
    agent_ended = AgentEnded(at=now, reason=reason)
    seq = 3 if agents == 1 else 1
    await plane.report(call_id, Source.AGENT, seq, agent_ended, incarnation=agents)
    assert (await plane.row(call_id)).is_ended
    return call_id


def files(folder: RecordingFolder) -> list[str]:
    found = (path for path in folder.path.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder.path)) for path in found)


async def test_one_agents_recording_goes_where_the_result_says(shelf: Shelf) -> None:
    call_id = await ended_call(shelf.plane)
    result = await shelf.plane.result(call_id)
    assert result is not None
    await shelf.hand_over(call_id, FIRST)
    row = await shelf.row(call_id)
    assert row.recording_key == result["recording_key"] == f"recordings/2026/06/05/{call_id}.wav"
    assert row.token == result["recording_access_token"]
    assert result["recording_url"].endswith(row.token)
    assert await shelf.kept(call_id) == FIRST
    assert await shelf.told(call_id) == [1.0]


async def test_telling_again_changes_nothing(shelf: Shelf) -> None:
    call_id = await ended_call(shelf.plane)
    for _ in range(3):
        await shelf.hand_over(call_id, FIRST)
    assert await shelf.told(call_id) == [1.0]


@pytest.mark.parametrize("order", list(permutations(SEGMENTS)))
async def test_segments_are_joined_in_whichever_order_they_come(
    shelf: Shelf, order: tuple[int, ...]
) -> None:
    call_id = await ended_call(shelf.plane, agents=3)
    for number in order:
        await shelf.hand_over(call_id, SEGMENTS[number], number)
        await shelf.kept(call_id)
    assert stretches_of(await shelf.kept(call_id)) == ALL_THREE
    # Once more, as after a lost answer.
    await shelf.hand_over(call_id, SEGMENTS[order[0]], order[0])
    assert stretches_of(await shelf.kept(call_id)) == ALL_THREE


async def test_two_segments_at_the_same_time_are_both_there(shelf: Shelf) -> None:
    call_id = await ended_call(shelf.plane, agents=3)
    await asyncio.gather(*(shelf.hand_over(call_id, SEGMENTS[n], n) for n in SEGMENTS))
    assert stretches_of(await shelf.kept(call_id)) == ALL_THREE


async def test_note_of_fewer_segments_that_comes_last_is_mended(shelf: Shelf) -> None:
    call_id = await ended_call(shelf.plane, agents=3)
    await shelf.hand_over(call_id, FIRST, 1)
    shelf.archive.before_note = lambda: shelf.sibling().hand_over(call_id, THIRD, 3)
    await shelf.hand_over(call_id, SECOND, 2)
    assert stretches_of(await shelf.kept(call_id)) == ALL_THREE


async def test_segment_that_came_while_others_were_joined_is_not_forgotten(
    bucket_shelf: Shelf,
) -> None:
    bucket = bucket_of(bucket_shelf)
    call_id = await ended_call(bucket_shelf.plane, agents=3)
    await bucket_shelf.hand_over(call_id, FIRST, 1)
    late = await bucket_shelf.archive.offer(T, call_id, offer_of(THIRD, 3))
    bucket.before_put = {late.key: THIRD}
    await bucket_shelf.hand_over(call_id, SECOND, 2)
    assert stretches_of(await bucket_shelf.kept(call_id)) == ALL_THREE


async def test_agent_that_never_spoke_leaves_the_other_ones_recording(shelf: Shelf) -> None:
    call_id = await ended_call(shelf.plane, agents=2)
    await shelf.hand_over(call_id, SECOND, 2)
    assert await shelf.kept(call_id) == SECOND


async def test_call_that_goes_on_is_waited_for(shelf: Shelf) -> None:
    await shelf.plane.ready()
    call_id = await shelf.plane.talking()
    with pytest.raises(Denied) as caught:
        await shelf.archive.offer(T, call_id, offer_of(FIRST))
    assert caught.value.code is Code.CALL_LIVE


@pytest.mark.parametrize(
    ("tenant_id", "incarnation", "code"),
    [(T, 2, Code.STALE_INCARNATION), ("other", 1, Code.CALL_UNKNOWN)],
)
async def test_who_has_no_part_in_the_call_is_refused(
    shelf: Shelf, tenant_id: str, incarnation: int, code: Code
) -> None:
    call_id = await ended_call(shelf.plane)
    with pytest.raises(Denied) as caught:
        await shelf.archive.offer(tenant_id, call_id, offer_of(FIRST, incarnation))
    assert caught.value.code is code


async def test_what_is_not_what_was_announced_is_not_kept(shelf: Shelf) -> None:
    call_id = await ended_call(shelf.plane)
    offer = offer_of(FIRST)
    corrupt = FIRST[:-1] + b"\7"
    target = await shelf.archive.offer(T, call_id, offer)
    if shelf.bucket is None:
        handing_over = shelf.archive.take(T, call_id, offer, chunks(corrupt))
    else:
        shelf.bucket.objects[target.key] = corrupt
        handing_over = shelf.archive.confirm(T, call_id, offer, target.key)
    with pytest.raises(Denied) as caught:
        await handing_over
    assert caught.value.code is Code.RECORDING_DIFFERS
    assert (await shelf.row(call_id)).stored_at is None
    await shelf.hand_over(call_id, FIRST)
    assert await shelf.kept(call_id) == FIRST


async def test_storage_without_checksums_is_read_back(bucket_shelf: Shelf) -> None:
    bucket = bucket_of(bucket_shelf)
    bucket.tells_sha256 = False
    call_id = await ended_call(bucket_shelf.plane)
    offer = offer_of(FIRST)
    key = (await bucket_shelf.archive.offer(T, call_id, offer)).key
    bucket.objects[key] = FIRST[:-1] + b"\7"
    with pytest.raises(Denied):
        await bucket_shelf.archive.confirm(T, call_id, offer, key)
    await bucket_shelf.hand_over(call_id, FIRST)
    assert await bucket_shelf.kept(call_id) == FIRST


async def test_what_was_never_put_is_not_believed(bucket_shelf: Shelf) -> None:
    call_id = await ended_call(bucket_shelf.plane)
    offer = offer_of(FIRST)
    key = (await bucket_shelf.archive.offer(T, call_id, offer)).key
    with pytest.raises(Denied) as caught:
        await bucket_shelf.archive.confirm(T, call_id, offer, key)
    assert caught.value.code is Code.RECORDING_DIFFERS


async def test_storage_that_is_away_is_told_as_such(bucket_shelf: Shelf) -> None:
    call_id = await ended_call(bucket_shelf.plane)
    bucket_of(bucket_shelf).is_away = True
    with pytest.raises(Denied) as caught:
        await bucket_shelf.hand_over(call_id, FIRST)
    assert caught.value.code is Code.STORE_UNAVAILABLE
    assert caught.value.retry_after_s
    bucket_of(bucket_shelf).is_away = False
    await bucket_shelf.hand_over(call_id, FIRST)
    assert await bucket_shelf.kept(call_id) == FIRST


async def test_full_disk_is_told_and_leaves_nothing(plane: ControlPlane) -> None:
    shelf = Shelf(plane, None)
    call_id = await ended_call(plane)
    offer = offer_of(FIRST)
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(Denied) as caught:
        await shelf.archive.take(T, call_id, offer, chunks(FIRST[:100], full))
    assert caught.value.code is Code.STORE_UNAVAILABLE
    assert files(plane.folder) == []
    await shelf.hand_over(call_id, FIRST)
    assert files(plane.folder) == [f"2026/06/05/{call_id}.wav"]


async def test_segment_that_fits_nothing_is_in_nobodys_way(shelf: Shelf) -> None:
    call_id = await ended_call(shelf.plane, agents=2)
    await shelf.hand_over(call_id, FIRST, 1)
    with pytest.raises(Denied) as caught:
        await shelf.hand_over(call_id, wav_of((1.0, 2), rate_hz=16_000), 2)
    assert caught.value.code is Code.BODY_INVALID
    assert await shelf.kept(call_id) == FIRST
    await shelf.hand_over(call_id, SECOND, 2)
    assert stretches_of(await shelf.kept(call_id)) == ALL_THREE[:3]


async def test_recording_of_another_setting_is_offered_again(plane: ControlPlane) -> None:
    """Offered while a bucket was set, confirmed after it was taken away."""
    call_id = await ended_call(plane)
    offer = offer_of(FIRST)
    key = (await Shelf(plane, MemoryBucket()).archive.offer(T, call_id, offer)).key
    with pytest.raises(Denied) as caught:
        await Shelf(plane, None).archive.confirm(T, call_id, offer, key)
    assert caught.value.code is Code.RECORDING_DIFFERS


async def test_deleted_recording_takes_its_segments_along(shelf: Shelf) -> None:
    call_id = await ended_call(shelf.plane, agents=2)
    await shelf.hand_over(call_id, FIRST, 1)
    await shelf.hand_over(call_id, SECOND, 2)
    row = await shelf.row(call_id)
    for _ in range(2):
        await shelf.archive.delete(row.recording_key, row.place)
    assert files(shelf.plane.folder) == []
    assert shelf.bucket is None or shelf.bucket.objects == {}


async def test_recording_that_cannot_be_deleted_now_is_told(
    plane: ControlPlane, bucket_shelf: Shelf
) -> None:
    bucket_of(bucket_shelf).is_away = True
    with pytest.raises(RecordingStuck):
        await bucket_shelf.archive.delete("recordings/2026/06/05/s1.wav", "s3")
    with pytest.raises(RecordingStuck):
        await Shelf(plane, None).archive.delete("recordings/2026/06/05/s1.wav", "s3")


async def erase(plane: ControlPlane, call_id: str) -> None:
    async def work(connection: AsyncConnection) -> list[str]:
        return await erasures.erase(connection, T, [call_id], plane.clock())

    assert await plane.database.run(work) == [call_id]


async def test_recording_put_after_its_call_was_erased_is_deleted(bucket_shelf: Shelf) -> None:
    bucket = bucket_of(bucket_shelf)
    call_id = await ended_call(bucket_shelf.plane)
    offer = offer_of(FIRST)
    key = (await bucket_shelf.archive.offer(T, call_id, offer)).key
    await erase(bucket_shelf.plane, call_id)
    bucket.objects |= {key: FIRST, "somebody/elses": b""}
    for told in (key, "somebody/elses"):
        with pytest.raises(Denied) as caught:
            await bucket_shelf.archive.confirm(T, call_id, offer, told)
        assert caught.value.code is Code.CALL_ERASED
    assert set(bucket.objects) == {"somebody/elses"}


async def test_recording_that_comes_in_while_its_call_is_erased_is_deleted(
    plane: ControlPlane,
) -> None:
    call_id = await ended_call(plane)

    async def upload() -> AsyncIterator[bytes]:
        yield FIRST[:100]
        await erase(plane, call_id)
        yield FIRST[100:]

    with pytest.raises(Denied) as caught:
        await Shelf(plane, None).archive.take(T, call_id, offer_of(FIRST), upload())
    assert caught.value.code is Code.CALL_ERASED
    assert files(plane.folder) == []
