"""Recordings: the key and the public token of each call's, and what arrived of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.tables import calls, recordings


@dataclass(frozen=True, slots=True)
class Stored:
    """What has arrived, and in which place it is: `folder` or `s3`."""

    place: str
    duration_s: float
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """One call's recording. `stored_at` is None while it is only expected."""

    recording_key: str
    tenant_id: str
    call_id: str
    token: str
    duration_s: float | None
    size_bytes: int | None
    created_at: datetime
    stored_at: datetime | None
    sha256: str | None = None
    place: str = "folder"

    def is_stored_as(self, stored: Stored) -> bool:
        """Return whether just this is known to have arrived."""
        known = Stored(self.place, self.duration_s or 0.0, self.size_bytes or 0, self.sha256 or "")
        return self.stored_at is not None and known == stored


_COLUMNS = [recordings.c[name] for name in RecordingRow.__slots__]
"""In the dataclass's order."""


async def expect(
    connection: AsyncConnection, tenant_id: str, call_id: str, key: str, token: str, at: datetime
) -> RecordingRow:
    """Return the call's recording, made with this key and token if there was none."""
    known = await of_call(connection, tenant_id, call_id)
    if known is not None:
        return known
    row = RecordingRow(key, tenant_id, call_id, token, None, None, at, None)
    values = {name: getattr(row, name) for name in RecordingRow.__slots__}
    await connection.execute(insert(recordings).values(values))
    return row


async def stored(
    connection: AsyncConnection, row: RecordingRow, arrived: Stored, at: datetime
) -> None:
    """Note that the file has arrived."""
    mine = (
        recordings.c.tenant_id == row.tenant_id,
        recordings.c.recording_key == row.recording_key,
    )
    values = {
        "duration_s": arrived.duration_s,
        "size_bytes": arrived.size_bytes,
        "sha256": arrived.sha256,
        "place": arrived.place,
        "stored_at": at,
    }
    await connection.execute(update(recordings).where(*mine).values(values))


async def of_call(connection: AsyncConnection, tenant_id: str, call_id: str) -> RecordingRow | None:
    same_call = recordings.c.call_id == call_id
    return await _one(connection, recordings.c.tenant_id == tenant_id, same_call)


async def by_key(connection: AsyncConnection, tenant_id: str, key: str) -> RecordingRow | None:
    """Return the recording with this key, or with this file name: `SESSION_ID.wav`."""
    mine = recordings.c.tenant_id == tenant_id
    found = await _one(connection, mine, recordings.c.recording_key == key)
    if found is not None or "/" in key or not key.endswith(".wav"):
        return found
    name = key.removesuffix(".wav")
    named = (calls.c.tenant_id == tenant_id, calls.c.session_id == name)
    call_id = await connection.scalar(select(calls.c.call_id).where(*named))
    return await of_call(connection, tenant_id, name if call_id is None else call_id)


async def is_known(connection: AsyncConnection, key: str) -> bool:
    """Return whether any call's recording has this key."""
    return await _one(connection, recordings.c.recording_key == key) is not None


async def by_token(connection: AsyncConnection, token: str) -> RecordingRow | None:
    """Return the recording a public token opens; the token itself says whose it is."""
    return await _one(connection, recordings.c.token == token)


async def _one(connection: AsyncConnection, *wanted: ColumnElement[bool]) -> RecordingRow | None:
    row = (await connection.execute(select(*_COLUMNS).where(*wanted))).one_or_none()
    return None if row is None else RecordingRow(*row)
