"""Databases to test on: SQLite always, Postgres where there is one (or `REQUIRE_POSTGRES=1`)."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from sidecar.store.database import Database
from sidecar.store.tables import metadata
from tests.fakes.control_plane import ControlPlane
from tests.fakes.failing_database import FailingDatabase
from tests.fakes.sidecar_app import SidecarApp, running_app

_SEEDED = ("tenants", "event_counter")
_DEBIAN = Path("/usr/lib/postgresql")


def _binaries() -> Path | None:
    debian = sorted(_DEBIAN.glob("*/bin/pg_ctl"))
    found = str(debian[-1]) if debian else shutil.which("pg_ctl")
    return Path(found).resolve().parent if found else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: list[str]) -> None:
    # Postgres refuses to run as root.
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    prefix = as_nobody if os.geteuid() == 0 else []
    subprocess.run(
        [*prefix, *command], check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A Postgres: the one in `TEST_POSTGRES_URL`, else one of our own for this run."""
    given = os.environ.get("TEST_POSTGRES_URL", "")
    if given:
        yield given
        return
    binaries = _binaries()
    if binaries is None:
        if os.environ.get("REQUIRE_POSTGRES") == "1":
            pytest.fail("REQUIRE_POSTGRES=1, but there is neither TEST_POSTGRES_URL nor pg_ctl")
        pytest.skip("no Postgres here: install it or set TEST_POSTGRES_URL")
    # Not below pytest's own folder: that is closed to other users.
    folder = Path(f"/var/tmp/voicefleet-postgres-{os.getpid()}")
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    port = _free_port()
    control = [str(binaries / "pg_ctl"), "-D", str(folder / "data"), "-s", "-w"]
    options = f"-c fsync=off -c full_page_writes=off -k '' -h 127.0.0.1 -p {port}"
    try:
        _run([*control, "initdb", "-o", "-U voicefleet -A trust -N -E UTF8"])
        _run([*control, "start", "-l", str(folder / "log"), "-o", options])
        yield f"postgresql://voicefleet@127.0.0.1:{port}/postgres"
    finally:
        _run([*control, "stop", "-m", "immediate"])
        shutil.rmtree(folder)


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
