"""SQLite's driver, at one visit to its thread per statement.

`aiosqlite` gives each connection a thread and goes there for every step: a cursor, the statement,
its rows, the close. Each visit wakes two threads, which costs more than most of our statements do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import aiosqlite

BUSY_TIMEOUT_MS = 5000
_PREPARATION = f"""
pragma journal_mode = wal;
pragma synchronous = full;
-- What is erased is to be gone, not only unlisted.
pragma secure_delete = on;
pragma busy_timeout = {BUSY_TIMEOUT_MS};
"""


class SqliteConnection(aiosqlite.Connection):
    """One connection, opened when it is awaited, as SQLAlchemy's adapter expects its driver's.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(lambda: _open(path), iter_chunk_size=64)
        # A process that ends does not wait for it.
        self._thread.daemon = True
        self._begin = ""
        self._is_begun = False

    def begin(self, statement: str) -> None:
        """Have `statement` open a transaction just before the next statement runs."""
        self._begin = statement

    def cursor(self) -> _Cursor:  # type: ignore[override]
        """Return a cursor; nothing runs yet."""
        return _Cursor(self)

    async def visit(self, cursor: _Cursor, run: str, sql: str, parameters: Iterable[Any]) -> None:
        """Run one statement, and fetch all of its rows."""
        begin, self._begin = self._begin, ""
        # From here on, or a transaction whose task was cancelled meanwhile would stay open.
        self._is_begun |= bool(begin)
        await self._go(self._visit, cursor, begin, run, sql, parameters)

    def _visit(
        self, cursor: _Cursor, begin: str, run: str, sql: str, parameters: Iterable[Any]
    ) -> None:
        if begin:
            self._conn.execute(begin)
        raw = self._conn.cursor()
        try:
            getattr(raw, run)(sql, parameters)
            cursor.rows = raw.fetchall() if raw.description else []
            cursor.description, cursor.rowcount = raw.description, raw.rowcount
            cursor.lastrowid = raw.lastrowid
        finally:
            raw.close()

    async def commit(self) -> None:
        """Commit what was begun, if anything was."""
        await self._end(self._conn.commit)

    async def rollback(self) -> None:
        """Take back what was begun, if anything was."""
        await self._end(self._conn.rollback)

    async def _go(self, work: Callable[..., None], *args: Any) -> None:
        await self._execute(work, *args)  # type: ignore[no-untyped-call]

    async def _end(self, end: Callable[[], None]) -> None:
        self._begin = ""
        if self._is_begun:
            await self._go(end)
            self._is_begun = False


class _Cursor:
    """What SQLAlchemy's adapter asks of a driver's cursor."""

    arraysize = 1

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection
        self.rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> _Cursor:
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> _Cursor:
        await self._connection.visit(self, "execute", sql, parameters)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Any]) -> _Cursor:
        await self._connection.visit(self, "executemany", sql, parameters)
        return self

    async def fetchall(self) -> list[Any]:
        return self.rows

    async def close(self) -> None:
        """Its rows are here already."""


def _open(path: str) -> sqlite3.Connection:
    # The driver must not open transactions of its own.
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(_PREPARATION)
    return connection
