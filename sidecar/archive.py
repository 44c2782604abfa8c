"""Takes recordings in and gives them out: from the folder, or from a bucket where one is set.

The host that has a recording offers it once the call is over, when it is known how many agents the
call had. One agent's recording goes straight to its place. Of several each one's is a segment, kept
as it came, and whoever brings one joins all that are there, whichever came first, and notes what he
made; then he looks again, so that of two who join at the same time the later one has everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.event import EventType
from contracts.recording import RecordingOffer, RecordingTarget
from contracts.report import RecordingStored
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.erasure import RecordingStuck, missing
from sidecar.recording import (
    FOLDER,
    RecordingFolder,
    incarnation_of,
    is_ours,
    segment_folder,
    segment_key,
)
from sidecar.splice import SegmentUnfit, splice
from sidecar.storage import Bucket, ObjectMissing, StorageError
from sidecar.store import calls, events, recordings
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.events import Draft
from sidecar.store.recordings import RecordingRow, Stored
from sidecar.wake import Bells

log = structlog.get_logger(__name__)

S3 = "s3"
"""The place of recordings that are objects in a bucket."""
_RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one offered file goes."""

    row: CallRow
    key: str
    segment: str
    """"" where the file is the whole recording."""

    @property
    def target(self) -> str:
        return self.segment or self.key


class Archive:
    """Every recording's way in and out. `bucket` is None where recordings stay in the folder."""

    def __init__(
        self,
        database: Database,
        folder: RecordingFolder,
        bucket: Bucket | None,
        *,
        clock: Clock,
        bells: Bells,
    ) -> None:
        self._database = database
        self._folder = folder
        self._bucket = bucket
        self._clock = clock
        self._bells = bells

    async def offer(self, tenant_id: str, call_id: str, offer: RecordingOffer) -> RecordingTarget:
        """Say where a recording is to be put.

        Raises:
            Denied: the call is unknown or erased, goes on, or had no such agent.
        """
        place = await self._place(tenant_id, call_id, offer)
        if self._bucket is None:
            return RecordingTarget(key=place.target)
        async with _storage():
            return await self._bucket.target(place.target, offer.sha256)

    async def take(
        self, tenant_id: str, call_id: str, offer: RecordingOffer, chunks: AsyncIterable[bytes]
    ) -> None:
        """Keep a recording in the folder.

        Raises:
            Denied: as for `offer`; or it is not what was announced, or the disk does not take it.
        """
        place = await self._place(tenant_id, call_id, offer)
        async with _storage():
            await self._folder.store(place.target, chunks, offer.sha256)
            stored = Stored(FOLDER, offer.duration_s, offer.size_bytes, offer.sha256)
            await self._enter(place, stored)

    async def confirm(self, tenant_id: str, call_id: str, offer: RecordingOffer, key: str) -> None:
        """Look at what was put into the bucket, and keep it.

        Args:
            tenant_id: whose call it is.
            call_id: the call.
            offer: what should be there.
            key: where it was put.

        Raises:
            Denied: as for `offer`; or it is not there, or something else is.
        """
        try:
            place = await self._place(tenant_id, call_id, offer)
        except Denied as denied:
            if denied.code is Code.CALL_ERASED:
                await self._drop(key)
            raise
        if self._bucket is None:
            raise Denied(Code.RECORDING_DIFFERS, "recordings go to the folder now; offer it again")
        async with _storage():
            await self._verify(self._bucket, place.target, offer)
            stored = Stored(S3, offer.duration_s, offer.size_bytes, offer.sha256)
            await self._enter(place, stored)

    async def delete(self, key: str, place: str) -> None:
        """Remove a recording for good, its segments too, wherever it is.

        Raises:
            RecordingStuck: it could not be removed now.
        """
        await self._folder.delete(key)
        if self._bucket is None:
            if place == S3:
                raise RecordingStuck("it is in a bucket, and none is set")
            return
        try:
            parts = [] if incarnation_of(key) else await self._bucket.listed(segment_folder(key))
            for each in [key, *parts]:
                await self._bucket.delete(each)
        except StorageError as error:
            raise RecordingStuck(str(error)) from error

    async def _place(self, tenant_id: str, call_id: str, offer: RecordingOffer) -> _Place:
        async def work(connection: AsyncConnection) -> _Place:
            row = await calls.get(connection, tenant_id, call_id)
            if row is None:
                raise await missing(connection, tenant_id, call_id)
            if not row.is_ended:
                raise Denied(Code.CALL_LIVE, "the call has not ended; offer it again then")
            if offer.incarnation > row.incarnation:
                raise Denied(Code.STALE_INCARNATION, "the call had no such agent")
            key = (await self._expected(connection, row)).recording_key
            is_segment = row.incarnation > 1
            return _Place(row, key, segment_key(key, offer.incarnation) if is_segment else "")

        return await self._database.run(work)

    async def _expected(self, connection: AsyncConnection, row: CallRow) -> RecordingRow:
        """Return the recording's row: its key and token may have been given out with the result."""
        known = await recordings.of_call(connection, row.tenant_id, row.call_id)
        if known is not None:
            return known
        await events.hold_order(connection)
        if await calls.get(connection, row.tenant_id, row.call_id) is None:
            raise await missing(connection, row.tenant_id, row.call_id)
        key = self._folder.key_of(row.session_id, row.call_id, row.answered_at or row.planned_at)
        return await recordings.expect(
            connection, row.tenant_id, row.call_id, key, self._folder.token(), self._clock()
        )

    async def _verify(self, bucket: Bucket, key: str, offer: RecordingOffer) -> None:
        try:
            held = await bucket.head(key)
            sha256 = held.sha256 or await _sha256_of((await bucket.open(key)).chunks)
        except ObjectMissing as error:
            raise Denied(Code.RECORDING_DIFFERS, "there is nothing at its place") from error
        if (held.size_bytes, sha256) != (offer.size_bytes, offer.sha256):
            raise Denied(Code.RECORDING_DIFFERS, "what is at its place is not what was announced")

    async def _enter(self, place: _Place, stored: Stored) -> None:
        """Note what was stored, or what became of it together with the other segments."""
        if not place.segment:
            await self._note(place, stored)
            return
        seen: list[str] = []
        # Looked at again after the note: the note of fewer may have come after that of more.
        while (segments := await self._segments(place.key, stored.place)) != seen:
            seen = segments
            await self._note(place, await self._join(place, stored.place, segments))

    async def _join(self, place: _Place, where: str, segments: Sequence[str]) -> Stored:
        """Make one recording of the segments that are there."""
        try:
            return await self._join_these(place.key, where, segments)
        except SegmentUnfit as error:
            # It must not be in the way of the others.
            await self.delete(place.segment, where)
            raise Denied(Code.BODY_INVALID, str(error)) from error

    async def _segments(self, key: str, place: str) -> list[str]:
        if place == FOLDER or self._bucket is None:
            found = await self._folder.segments(key)
        else:
            found = await self._bucket.listed(segment_folder(key))
        numbered = {incarnation_of(each): each for each in found}
        return [numbered[number] for number in sorted(filter(None, numbered))]

    async def _join_these(self, key: str, place: str, segments: Sequence[str]) -> Stored:
        scratch: list[Path] = []
        try:
            paths = [await self._fetch(each, place, scratch) for each in segments]
            joint = self._folder.scratch()
            scratch.append(joint)
            wav = await asyncio.to_thread(splice, paths, joint)
            sha256 = await asyncio.to_thread(_sha256_of_file, joint)
            if place == FOLDER or self._bucket is None:
                await self._folder.keep(key, joint)
            else:
                await self._bucket.put(key, joint, sha256)
        finally:
            for path in scratch:
                await asyncio.to_thread(path.unlink, missing_ok=True)
        log.info("recording_joined", segments=len(segments), duration_s=round(wav.duration_s, 1))
        return Stored(place, wav.duration_s, wav.size_bytes, sha256)

    async def _fetch(self, key: str, place: str, scratch: list[Path]) -> Path:
        """Return a segment as a file, which is added to `scratch` where it is only a copy."""
        path = self._folder.file_of(key)
        if place == FOLDER and path is not None:
            return path
        assert self._bucket is not None
        path = self._folder.scratch()
        scratch.append(path)
        opened = await self._bucket.open(key)
        with await asyncio.to_thread(path.open, "wb") as file:
            async for chunk in opened.chunks:
                await asyncio.to_thread(file.write, chunk)
        return path

    async def _note(self, place: _Place, stored: Stored) -> None:
        row = place.row

        async def work(connection: AsyncConnection) -> None:
            now = self._clock()
            await events.hold_order(connection)
            if await calls.get(connection, row.tenant_id, row.call_id) is None:
                raise await missing(connection, row.tenant_id, row.call_id)
            known = await recordings.of_call(connection, row.tenant_id, row.call_id)
            if known is None or known.is_stored_as(stored):
                return
            await recordings.stored(connection, known, stored, now)
            fact = RecordingStored(
                at=now,
                key=place.key,
                duration_s=stored.duration_s,
                size_bytes=stored.size_bytes,
            )
            draft = Draft(
                call_id=row.call_id,
                bot_id=row.bot_id,
                type=EventType.RECORDING,
                at=now,
                data=fact.model_dump(mode="json"),
            )
            await events.append(connection, row.tenant_id, [draft])
            await self._database.notify(connection)

        try:
            await self._database.run(work)
        except Denied:
            # Erased while its recording came in.
            await self.delete(place.key, stored.place)
            raise
        self._bells.events.ring()

    async def _drop(self, key: str) -> None:
        """Remove what came too late for its call's erasure, if it is nobody else's."""
        if self._bucket is None or not is_ours(key):
            return
        async with self._database.read() as connection:
            if await recordings.is_known(connection, key):
                return
        with contextlib.suppress(StorageError):
            await self._bucket.delete(key)


@asynccontextmanager
async def _storage() -> AsyncIterator[None]:
    """Tell whoever asked that a full disk or a storage that is away may be better soon."""
    try:
        yield
    except (OSError, StorageError) as error:
        log.warning("recording_not_kept", error=type(error).__name__, detail=str(error))
        raise Denied(
            Code.STORE_UNAVAILABLE,
            "the recording cannot be kept now; offer it again",
            retry_after_s=_RETRY_AFTER_S,
        ) from error


async def _sha256_of(chunks: AsyncIterator[bytes]) -> str:
    digest = hashlib.sha256()
    async for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
