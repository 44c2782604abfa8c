"""Databases to test on: SQLite always, Postgres where there is one (or `REQUIRE_POSTGRES=1`)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sidecar.store.database import Database
from sidecar.store.schema import metadata
from tests.fakes.control_plane import ControlPlane
from tests.fakes.failing_database import FailingDatabase
from tests.fakes.sidecar_app import SidecarApp, running_app

_SEEDED = ("tenants", "event_counter")


class Migrated:
    """An empty database that is up to date: migrating once is enough, and so is compiling.

    An engine compiles each statement once, which takes longer than running it, and every test has
    an engine of its own.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = asyncio.run(self._migrate())

    def copy(self, path: Path) -> str:
        """Return the address of a copy at `path`, or of the one Postgres there is."""
        if not self.url.startswith("sqlite:"):
            return self.url
        shutil.copy(self.url.removeprefix("sqlite:///"), path)
        return f"sqlite:///{path}"

    def lend(self, database: Database) -> None:
        """Give another's engine what was compiled here."""
        engine = database.engine.sync_engine
        engine.dialect = engine.pool._dialect = self._engine.dialect
        engine._compiled_cache = self._engine._compiled_cache

    async def _migrate(self) -> Engine:
        database = Database(self.url)
        await database.migrate()
        await database.aclose()
        return database.engine.sync_engine


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Migrated:
    """An empty database to copy."""
    return Migrated(f"sqlite:///{tmp_path_factory.mktemp('migrated') / 'voicefleet.db'}")


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> Migrated:
    """The one that all share, emptied before each."""
    return Migrated(postgres_url)


@pytest.fixture
async def sqlite(tmp_path: Path, migrated_sqlite: Migrated) -> AsyncIterator[FailingDatabase]:
    """A migrated SQLite database that can be told to fail."""
    database = FailingDatabase(migrated_sqlite.copy(tmp_path / "voicefleet.db"))
    migrated_sqlite.lend(database)
    yield database
    await database.aclose()


@pytest.fixture(params=["sqlite", "postgres"])
def migrated(request: pytest.FixtureRequest) -> Migrated:
    """One of either kind."""
    found: Migrated = request.getfixturevalue(f"migrated_{request.param}")
    return found


@pytest.fixture
async def database(migrated: Migrated, tmp_path: Path) -> AsyncIterator[Database]:
    """A migrated database with nothing in it."""
    database = Database(migrated.copy(tmp_path / "voicefleet.db"))
    migrated.lend(database)
    if not database.is_sqlite:
        await _empty(database)
    yield database
    await database.aclose()


async def _empty(database: Database) -> None:
    names = [table.name for table in reversed(metadata.sorted_tables)]
    deletes = "; ".join(f"delete from {name}" for name in names if name not in _SEEDED)
    async with database.transaction() as connection:
        # Not truncate, which makes every table and index anew.
        await connection.execute(text(f"do $$ begin {deletes}; end $$"))
        await connection.execute(text("update event_counter set value = 0"))


@pytest.fixture
def plane(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ControlPlane:
    """The use cases over that database, with a clock that stands still.

    The watch waits for what it has begun, however busy the machine is.
    """
    monkeypatch.setattr("sidecar.watch.IN_HAND_S", 30.0)
    return ControlPlane(database, tmp_path / "recordings")


@pytest.fixture
async def sidecar(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    """The whole application, running on SQLite."""
    async with running_app(sqlite, tmp_path) as app:
        yield app
