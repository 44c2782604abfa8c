"""CDRs find their calls, also those that were told of first; on both databases."""

from __future__ import annotations

from sidecar.store import calls, cdrs
from sidecar.store.database import Database
from tests.fakes.control_plane import START, ControlPlane


async def test_cdr_belongs_to_the_newest_call_of_its_stream(plane: ControlPlane) -> None:
    await plane.ready()
    await plane.plan("k1", stream_id="s")
    plane.clock.advance(1)
    newest = await plane.plan("k2", stream_id="s")
    async with plane.database.transaction() as connection:
        assert await cdrs.save(connection, "default", "s", {"a": 1}, START)
        assert await cdrs.save(connection, "default", "s", {"a": 2}, START)
    async with plane.database.read() as connection:
        found = await cdrs.of_stream(connection, "default", "s", newest.call_id)
        assert found is not None
        assert (found.body, found.call_id) == ({"a": 2}, newest.call_id)
        assert await cdrs.of_stream(connection, "default", "s", "older") is None


async def test_cdr_that_came_before_its_call_is_found(database: Database) -> None:
    async with database.transaction() as connection:
        assert not await cdrs.save(connection, "default", "s", {"a": 1}, START)
    async with database.read() as connection:
        found = await cdrs.of_stream(connection, "default", "s", "c1")
        assert found is not None
        assert (found.call_id, found.body, found.received_at) == (None, {"a": 1}, START)


async def test_tenants_do_not_meet(plane: ControlPlane) -> None:
    await plane.ready()
    await plane.plan(stream_id="s")
    async with plane.database.transaction() as connection:
        assert not await cdrs.save(connection, "other", "s", {"a": 1}, START)
    async with plane.database.read() as connection:
        assert await cdrs.of_stream(connection, "default", "s", None) is None


async def test_streams_name_of_any_length_is_stored(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan(stream_id="s" * 9000)
    async with plane.database.read() as connection:
        row = await calls.get(connection, "default", plan.call_id)
    assert row is not None
    assert len(row.stream_id) == 9000
