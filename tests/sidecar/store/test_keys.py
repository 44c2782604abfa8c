"""API keys at rest, on both databases."""

from __future__ import annotations

from sidecar.store import keys
from sidecar.store.database import Database
from sidecar.store.keys import KeyRow
from tests.fakes.control_plane import START

T = "default"
ROW = KeyRow("k1", T, "CRM", "vx_abcd", "h" * 64, ["desk"], False, True, START, None, None)


async def test_key_is_found_by_its_hash_and_changed_by_its_id(database: Database) -> None:
    async with database.transaction() as connection:
        await keys.add(connection, ROW)
        assert await keys.by_hash(connection, "h" * 64) == ROW
        assert await keys.by_hash(connection, "g" * 64) is None
        assert await keys.change(connection, T, "k1", {"is_active": False, "last_used_at": START})
        changed = await keys.get(connection, T, "k1")
        assert await keys.listed(connection, T) == [changed]
        assert await keys.remove(connection, T, "k1")
        assert not await keys.remove(connection, T, "k1")
    assert changed is not None
    assert (changed.is_active, changed.last_used_at) == (False, START)


async def test_other_tenants_reach_no_key(database: Database) -> None:
    async with database.transaction() as connection:
        await keys.add(connection, ROW)
        assert await keys.get(connection, "other", "k1") is None
        assert await keys.listed(connection, "other") == []
        assert not await keys.change(connection, "other", "k1", {"name": "x"})
        assert not await keys.remove(connection, "other", "k1")
