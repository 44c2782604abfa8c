"""Recordings: the key and the public token of each call's, and what arrived of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.tables import recordings


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


_COLUMNS = [recordings.c[name] for name in RecordingRow.__slots__]


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
    connection: AsyncConnection, row: RecordingRow, duration_s: float, size_bytes: int, at: datetime
) -> None:
    """Note that the file has arrived."""
    mine = (
        recordings.c.tenant_id == row.tenant_id,
        recordings.c.recording_key == row.recording_key,
    )
    arrived = {"duration_s": duration_s, "size_bytes": size_bytes, "stored_at": at}
    await connection.execute(update(recordings).where(*mine).values(**arrived))


async def of_call(connection: AsyncConnection, tenant_id: str, call_id: str) -> RecordingRow | None:
    same_call = recordings.c.call_id == call_id
    return await _one(connection, recordings.c.tenant_id == tenant_id, same_call)


async def by_token(connection: AsyncConnection, token: str) -> RecordingRow | None:
    """Return the recording a public token opens; the token itself says whose it is."""
    return await _one(connection, recordings.c.token == token)


async def _one(connection: AsyncConnection, *wanted: ColumnElement[bool]) -> RecordingRow | None:
    row = (await connection.execute(select(*_COLUMNS).where(*wanted))).one_or_none()
    return None if row is None else RecordingRow(*row)
