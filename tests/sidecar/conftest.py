"""Databases to test on: SQLite always, Postgres where there is one (or `REQUIRE_POSTGRES=1`)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from sidecar.store.database import Database
from sidecar.store.schema import metadata
from tests.fakes.control_plane import ControlPlane
from tests.fakes.failing_database import FailingDatabase
from tests.fakes.sidecar_app import SidecarApp, running_app

_SEEDED = ("tenants", "event_counter")


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database to copy: migrating once is enough."""
    path = tmp_path_factory.mktemp("migrated") / "voicefleet.db"

    async def migrate() -> None:
        database = Database(f"sqlite:///{path}")
        await database.migrate()
        await database.aclose()

    asyncio.run(migrate())
    return path


@pytest.fixture
async def sqlite(tmp_path: Path, migrated_sqlite: Path) -> AsyncIterator[FailingDatabase]:
    """A migrated SQLite database that can be told to fail."""
    path = tmp_path / "voicefleet.db"
    shutil.copy(migrated_sqlite, path)
    database = FailingDatabase(f"sqlite:///{path}")
    yield database
    await database.aclose()


@pytest.fixture(params=["sqlite", "postgres"])
async def database(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path
) -> AsyncIterator[Database]:
    """A migrated database with nothing in it."""
    if request.param == "sqlite":
        path = tmp_path / "voicefleet.db"
        shutil.copy(migrated_sqlite, path)
        database = Database(f"sqlite:///{path}")
    else:
        database = Database(request.getfixturevalue("postgres_url"))
        await database.migrate()
        await _empty(database)
    yield database
    await database.aclose()


async def _empty(database: Database) -> None:
    tables = ", ".join(name for name in metadata.tables if name not in _SEEDED)
    async with database.transaction() as connection:
        await connection.execute(text(f"truncate {tables}"))
        await connection.execute(text("update event_counter set value = 0"))


@pytest.fixture
def plane(database: Database, tmp_path: Path) -> ControlPlane:
    """The use cases over that database, with a clock that stands still."""
    return ControlPlane(database, tmp_path / "recordings")


@pytest.fixture
async def sidecar(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    """The whole application, running on SQLite."""
    async with running_app(sqlite, tmp_path) as app:
        yield app
