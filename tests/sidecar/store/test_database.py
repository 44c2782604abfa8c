"""Migrations arrive at the tables, and transactions keep their promises, on both databases."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.database import MAX_TRIES, Conflict, Database
from sidecar.store.schema import metadata
from sidecar.store.tables import tenants
from tests.fakes.control_plane import START

ROOT = Path(__file__).resolve().parents[3]
MIGRATE = """
import asyncio, sys
from sidecar.store.database import Database
async def migrate():
    database = Database(sys.argv[1])
    await database.migrate()
    await database.aclose()
asyncio.run(migrate())
"""
"""Alembic's context is one a process."""


async def test_migrations_arrive_at_exactly_the_tables(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        # Each database's full-text index is its own, and no table of ours.
        opts = {
            "compare_type": True,
            "include_name": lambda name, *_: not (name or "").startswith("knowledge_index"),
        }
        context = MigrationContext.configure(connection, opts=opts)
        found = compare_metadata(context, metadata)
        return [change for change in found if "alembic_version" not in repr(change)]

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_in_two_processes_at_once_changes_nothing(
    database: Database,
) -> None:
    command = (sys.executable, "-c", MIGRATE, database.url.render_as_string(hide_password=False))
    starting = (asyncio.create_subprocess_exec(*command, cwd=ROOT) for _ in range(2))
    both = await asyncio.gather(*starting)
    assert [await process.wait() for process in both] == [0, 0]
    async with database.read() as connection:
        assert await connection.scalar(select(tenants.c.tenant_id)) == "default"


async def test_migrate_makes_the_folder_of_a_sqlite_file(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new/folder/voicefleet.db")
    await database.migrate()
    await database.aclose()
    assert (tmp_path / "new/folder/voicefleet.db").exists()


async def test_sqlite_waits_durably(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/voicefleet.db")
    async with database.read() as connection:
        pragmas = [
            (await connection.execute(text(f"pragma {name}"))).scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        ]
    await database.aclose()
    assert pragmas == ["wal", 2, 5000]


async def test_transaction_is_undone_by_an_exception(database: Database) -> None:
    async def work(connection: AsyncConnection) -> None:
        new = insert(tenants).values(tenant_id="gone", name="Gone", created_at=START)
        await connection.execute(new)
        raise RuntimeError("midway")

    with pytest.raises(RuntimeError):
        await database.run(work)
    async with database.read() as connection:
        assert (await connection.scalars(select(tenants.c.tenant_id))).all() == ["default"]


async def test_run_starts_over_after_a_conflict(database: Database) -> None:
    tries = 0

    async def work(connection: AsyncConnection) -> str:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Conflict("row")
        return "done"

    assert await database.run(work) == "done"
    assert tries == 3


async def test_run_gives_up_on_endless_conflicts(database: Database) -> None:
    tries = 0

    async def work(connection: AsyncConnection) -> None:
        nonlocal tries
        tries += 1
        raise Conflict("row")

    with pytest.raises(Conflict):
        await database.run(work)
    assert tries == MAX_TRIES


async def test_every_table_of_the_tenants_says_whose_a_row_is() -> None:
    without = {name for name, table in metadata.tables.items() if "tenant_id" not in table.c}
    assert without == {"event_counter", "leases"}
