"""Recordings: one key and token per call, on both databases."""

from __future__ import annotations

from sidecar.store import recordings
from sidecar.store.database import Database
from tests.fakes.control_plane import START

T = "default"


async def test_expecting_again_keeps_the_first_token(database: Database) -> None:
    async with database.transaction() as connection:
        first = await recordings.expect(connection, T, "c1", "s1.wav", "token-1", START)
        again = await recordings.expect(connection, T, "c1", "s1.wav", "token-2", START)
    assert again == first
    assert first.stored_at is None


async def test_stored_notes_what_arrived(database: Database) -> None:
    async with database.transaction() as connection:
        row = await recordings.expect(connection, T, "c1", "s1.wav", "token-1", START)
        await recordings.stored(connection, row, 12.5, 200_044, START)
        found = await recordings.by_token(connection, "token-1")
    assert found is not None
    assert (found.duration_s, found.size_bytes, found.stored_at) == (12.5, 200_044, START)


async def test_unknown_tokens_and_other_tenants_find_nothing(database: Database) -> None:
    async with database.transaction() as connection:
        await recordings.expect(connection, T, "c1", "s1.wav", "token-1", START)
        assert await recordings.by_token(connection, "token-2") is None
        assert await recordings.of_call(connection, "other", "c1") is None
