"""Stored numbers, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from sidecar.store import numbers
from sidecar.store.database import Database
from sidecar.store.numbers import NumberRow
from tests.fakes.control_plane import START

ROW = NumberRow("+919876543210", "default", "desk", "ST_1", START, START)
OTHER = NumberRow("demo", "other", None, None, START, START)


async def test_number_reads_back_as_it_was_written_and_changed(database: Database) -> None:
    later = replace(ROW, bot_id=None, trunk_id=None, updated_at=START + timedelta(seconds=1))
    async with database.transaction() as connection:
        await numbers.add(connection, ROW)
        assert await numbers.get(connection, "default", ROW.number) == ROW
        await numbers.save(connection, later)
        assert await numbers.get(connection, "default", ROW.number) == later


async def test_first_goes_by_the_order_of_the_forms(database: Database) -> None:
    second = replace(ROW, number="919876543210")
    async with database.transaction() as connection:
        for row in (second, ROW):
            await numbers.add(connection, row)
        for keys in ([ROW.number, second.number], ["x", second.number, ROW.number]):
            found = await numbers.first(connection, "default", keys)
            assert found is not None
            assert found.number == next(key for key in keys if key != "x")
        assert await numbers.first(connection, "default", []) is None
        assert await numbers.first(connection, "default", ["x"]) is None


async def test_tenants_have_their_own_numbers_and_share_none(database: Database) -> None:
    async with database.transaction() as connection:
        await numbers.add(connection, ROW)
        await numbers.add(connection, OTHER)
        assert await numbers.listed(connection, "default") == [ROW]
        assert await numbers.first(connection, "default", ["demo"]) is None
        assert await numbers.first(connection, None, ["demo"]) == OTHER
        assert await numbers.of_trunk(connection, "other", "ST_1") == []
        await numbers.save(connection, replace(ROW, tenant_id="other", bot_id="theirs"))
        assert not await numbers.remove(connection, "other", ROW.number)
        assert await numbers.get(connection, "default", ROW.number) == ROW
    with pytest.raises(IntegrityError):
        async with database.transaction() as connection:
            await numbers.add(connection, replace(ROW, tenant_id="other"))


async def test_numbers_of_bots_and_of_trunks(database: Database) -> None:
    kept = replace(ROW, number="1001", bot_id=None, trunk_id=None)
    async with database.transaction() as connection:
        for row in (kept, ROW):
            await numbers.add(connection, row)
        assert await numbers.listed(connection, "default") == [ROW, kept]
        assert await numbers.listed(connection, "default", ["desk"]) == [ROW]
        assert await numbers.of_trunk(connection, "default", "ST_1") == [ROW]
        assert await numbers.remove(connection, "default", ROW.number)
        assert not await numbers.remove(connection, "default", ROW.number)
