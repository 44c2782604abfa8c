"""Recordings: one key and token per call, what arrived of each, on both databases."""

from __future__ import annotations

from sidecar.store import recordings
from sidecar.store.database import Database
from sidecar.store.recordings import Stored
from tests.fakes.control_plane import START, ControlPlane

T = "default"
ARRIVED = Stored("s3", 12.5, 200_044, "ab" * 32)


async def test_expecting_again_keeps_the_first_token(database: Database) -> None:
    async with database.transaction() as connection:
        first = await recordings.expect(connection, T, "c1", "s1.wav", "token-1", START)
        again = await recordings.expect(connection, T, "c1", "s1.wav", "token-2", START)
    assert again == first
    assert first.stored_at is None


async def test_stored_notes_what_arrived_and_where(database: Database) -> None:
    async with database.transaction() as connection:
        row = await recordings.expect(connection, T, "c1", "s1.wav", "token-1", START)
        assert not row.is_stored_as(ARRIVED)
        await recordings.stored(connection, row, ARRIVED, START)
        found = await recordings.by_token(connection, "token-1")
    assert found is not None
    assert (found.duration_s, found.size_bytes, found.stored_at) == (12.5, 200_044, START)
    assert (found.sha256, found.place) == ("ab" * 32, "s3")
    assert found.is_stored_as(ARRIVED)


async def test_unknown_tokens_and_other_tenants_find_nothing(database: Database) -> None:
    async with database.transaction() as connection:
        await recordings.expect(connection, T, "c1", "s1.wav", "token-1", START)
        assert await recordings.by_token(connection, "token-2") is None
        assert await recordings.of_call(connection, "other", "c1") is None
        assert await recordings.by_key(connection, "other", "s1.wav") is None
        assert await recordings.is_known(connection, "s1.wav")
        assert not await recordings.is_known(connection, "s2.wav")


async def test_recording_is_found_by_its_key_or_by_its_file_name(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking(connected_event={"sessionId": "s-9"})
    await plane.end(call_id)
    row = await plane.row(call_id)
    key = f"recordings/2026/06/05/{row.session_id}.wav"
    async with plane.database.read() as connection:
        found = await recordings.by_key(connection, T, key)
        assert found is not None
        assert found.call_id == call_id
        for name in (f"{row.session_id}.wav", f"{call_id}.wav"):
            assert await recordings.by_key(connection, T, name) == found
        for wrong in (f"other/{row.session_id}.wav", row.session_id, ".wav", "nobody.wav"):
            assert await recordings.by_key(connection, T, wrong) is None
        assert await recordings.by_key(connection, "other", f"{row.session_id}.wav") is None
