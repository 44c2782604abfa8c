"""SQLite's driver keeps a transaction's promises with few visits to its thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.database import Database
from sidecar.store.sqlite import SqliteConnection

INSERT = text("insert into fruit values (:name)")
COUNT = text("select count(*) from fruit")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fruit.db"


@pytest_asyncio.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{path}")
    async with database.transaction() as connection:
        await connection.execute(text("create table fruit (name text unique)"))
    yield database
    await database.aclose()


def is_locked(path: Path) -> bool:
    """Whether somebody else could not write now."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        try:
            other.execute("begin immediate")
        except sqlite3.OperationalError:
            return True
        other.execute("rollback")
        return False


async def test_writer_holds_the_lock_from_its_first_statement_and_a_reader_never(
    database: Database, path: Path
) -> None:
    async with database.transaction() as connection:
        await connection.scalar(COUNT)
        assert is_locked(path)
    assert not is_locked(path)
    async with database.read() as connection:
        await connection.scalar(COUNT)
        assert not is_locked(path)


async def test_reader_sees_one_state(database: Database) -> None:
    async with database.read() as reader:
        assert await reader.scalar(COUNT) == 0
        async with database.transaction() as connection:
            await connection.execute(INSERT, [{"name": "apple"}, {"name": "pear"}])
        assert await reader.scalar(COUNT) == 0
    async with database.read() as reader:
        assert await reader.scalar(COUNT) == 2


async def test_statement_that_fails_undoes_the_transaction(database: Database, path: Path) -> None:
    async def work(connection: AsyncConnection) -> None:
        await connection.execute(INSERT, {"name": "apple"})
        await connection.execute(text("select * from vegetables"))

    with pytest.raises(OperationalError, match="no such table"):
        await database.run(work)
    assert not is_locked(path)
    async with database.read() as connection:
        assert await connection.scalar(COUNT) == 0


async def test_transaction_whose_task_is_cancelled_amid_a_statement_holds_nothing(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()
    visit = SqliteConnection.visit

    async def told(*how: Any) -> None:
        begun.set()
        await visit(*how)

    async def work() -> None:
        async with database.transaction() as connection:
            await connection.execute(INSERT, {"name": "apple"})

    monkeypatch.setattr(SqliteConnection, "visit", told)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        other.execute("rollback")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_locked(path)
    async with database.transaction() as connection:
        assert await connection.scalar(COUNT) == 0


async def test_statement_is_one_visit_to_the_thread(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits: list[str] = []
    execute = SqliteConnection._execute

    async def counted(self: SqliteConnection, work: Any, *args: Any) -> Any:
        visits.append(work.__name__)
        return await execute(self, work, *args)  # type: ignore[no-untyped-call]

    async with database.read() as connection:
        await connection.scalar(COUNT)
    monkeypatch.setattr(SqliteConnection, "_execute", counted)
    async with database.transaction() as connection:
        await connection.execute(INSERT, {"name": "apple"})
        await connection.execute(INSERT, [{"name": "pear"}, {"name": "plum"}])
        assert await connection.scalar(COUNT) == 3
    assert visits == ["_visit", "_visit", "_visit", "commit"]
    async with database.transaction():
        pass
    assert len(visits) == 4
