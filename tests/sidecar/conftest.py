"""Databases to test on: SQLite always, Postgres where there is one (or `REQUIRE_POSTGRES=1`)."""

from __future__ import annotations

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

_SEEDED = ("tenants", "event_counter")
_DEBIAN = Path("/usr/lib/postgresql")


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    debian = sorted(_DEBIAN.glob("*/bin/initdb"))
    return debian[-1].parent if debian else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_nobody(command: list[str]) -> list[str]:
    """Postgres refuses to run as root."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Postgres: the one in `TEST_POSTGRES_URL`, else one of our own for this run."""
    given = os.environ.get("TEST_POSTGRES_URL", "")
    if given:
        yield given
        return
    binaries = _binaries()
    if binaries is None:
        if os.environ.get("REQUIRE_POSTGRES") == "1":
            pytest.fail("REQUIRE_POSTGRES=1, but there is neither TEST_POSTGRES_URL nor initdb")
        pytest.skip("no Postgres here: install it or set TEST_POSTGRES_URL")
    # Not below pytest's own folder: that is closed to other users.
    folder = Path(f"/var/tmp/voicefleet-postgres-{os.getpid()}")
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    port = _free_port()
    data = str(folder / "data")
    make = [
        str(binaries / "initdb"),
        "-D",
        data,
        "-U",
        "voicefleet",
        "-A",
        "trust",
        "-N",
        "-E",
        "UTF8",
    ]
    subprocess.run(_as_nobody(make), check=True, capture_output=True, cwd="/")
    start = [str(binaries / "postgres"), "-D", data, "-k", "", "-h", "127.0.0.1", "-p", str(port)]
    options = ["-c", "fsync=off", "-c", "full_page_writes=off"]
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        server = subprocess.Popen(_as_nobody([*start, *options]), stdout=log, stderr=log, cwd="/")
    try:
        ready = [str(binaries / "pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
        for _ in range(100):
            if subprocess.run(ready, capture_output=True, check=False).returncode == 0:
                break
            if server.poll() is not None:
                pytest.fail("Postgres ended while starting")
        yield f"postgresql://voicefleet@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(timeout=20)
        shutil.rmtree(folder)
        (folder.parent / f"{folder.name}.log").unlink()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database to copy: migrating once is enough."""
    import asyncio

    path = tmp_path_factory.mktemp("migrated") / "voicefleet.db"

    async def migrate() -> None:
        database = Database(f"sqlite:///{path}")
        await database.migrate()
        await database.aclose()

    asyncio.run(migrate())
    return path


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
