"""The engine and its transactions: SQLite or Postgres by URL, the same promises on both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import to_json
from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from sidecar.store.migrations import upgrade
from sidecar.store.sqlite import SqliteConnection

T = TypeVar("T")

MAX_TRIES = 20
MIGRATION_LOCK = 0x766F6963
NOTIFY_CHANNEL = "voicefleet_events"
STANDBY_CHANNEL = "voicefleet_standbys"
DIAL_CHANNEL = "voicefleet_dials"
HAS_REMAINS = 1
"""SQLite's `user_version` while its file may hold copies of what was deleted."""
LARGEST_REWRITE_BYTES = 256 * 1024 * 1024
"""About two seconds' work; what is bigger, its operator rewrites at a time of their choice."""
DEADLOCK_STATES = frozenset({"40001", "40P01"})
"""Postgres took this transaction back so that another could go on."""


class Conflict(Exception):
    """Somebody changed the row since it was read; run the whole transaction again."""


class Database:
    """One database. Reads use `read`; whatever writes runs in `transaction` or `run`."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        driver = "sqlite+aiosqlite" if self.is_sqlite else "postgresql+asyncpg"
        path = self.url.database or ":memory:"
        self.engine: AsyncEngine = create_async_engine(
            self.url.set(drivername=driver),
            **({"async_creator": lambda: SqliteConnection(path)} if self.is_sqlite else {}),
            json_serializer=_json,
            # Parameters in error texts would carry secrets and personal data into the log.
            hide_parameters=True,
            # A connection that died while its host slept costs nobody a transaction.
            pool_pre_ping=not self.is_sqlite,
        )
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)

    async def migrate(self) -> None:
        """Bring the schema up to date; safe when several processes start at once."""
        if self.is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        async with self.transaction() as connection:
            if not self.is_sqlite:
                lock = text("select pg_advisory_xact_lock(:key)")
                await connection.execute(lock, {"key": MIGRATION_LOCK})
            await connection.run_sync(upgrade)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that commits at the end, or rolls back on any exception."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction for reading; on SQLite it does not wait for writers."""
        async with self.engine.connect() as connection:
            yield await connection.execution_options(read_only=True)

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in one transaction, and again from the start if somebody got in between.

        That is a `Conflict`, a row which another transaction inserted first, or a deadlock.
        """
        for _ in range(MAX_TRIES - 1):
            try:
                async with self.transaction() as connection:
                    return await work(connection)
            except (Conflict, DBAPIError) as error:
                if not _is_passing(error):
                    raise
        async with self.transaction() as connection:
            return await work(connection)

    async def notify(self, connection: AsyncConnection) -> None:
        """On Postgres, wake other replicas when this transaction commits."""
        if not self.is_sqlite:
            await connection.execute(text(f"notify {NOTIFY_CHANNEL}"))

    async def notify_standbys(self, connection: AsyncConnection) -> None:
        """The same for what concerns agents that wait; apart, since events are many."""
        if not self.is_sqlite:
            await connection.execute(text(f"notify {STANDBY_CHANNEL}"))

    async def notify_dials(self, connection: AsyncConnection) -> None:
        """The same for what concerns calls that wait to be placed."""
        if not self.is_sqlite:
            await connection.execute(text(f"notify {DIAL_CHANNEL}"))

    async def listen(
        self,
        ring: Callable[[], None],
        closing: asyncio.Event,
        ring_standbys: Callable[[], None] = lambda: None,
        ring_dials: Callable[[], None] = lambda: None,
    ) -> None:
        """Call `ring` whenever any replica commits events, until `closing` or a lost connection.

        On SQLite there is one process, which rings for itself.
        """
        if self.is_sqlite:
            await closing.wait()
            return
        lost = asyncio.Event()
        async with self.engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            driver.add_termination_listener(lambda *_: lost.set())
            await driver.add_listener(NOTIFY_CHANNEL, lambda *_: ring())
            await driver.add_listener(STANDBY_CHANNEL, lambda *_: ring_standbys())
            await driver.add_listener(DIAL_CHANNEL, lambda *_: ring_dials())
            # What was committed before the listeners stood has rung nowhere.
            ring()
            ring_standbys()
            ring_dials()
            waits = [asyncio.create_task(event.wait()) for event in (lost, closing)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def note_deletion(self, connection: AsyncConnection) -> None:
        """Remember, with this transaction, that what it deletes is to leave the files as well."""
        if self.is_sqlite:
            await connection.exec_driver_sql(f"pragma user_version = {HAS_REMAINS}")

    async def scrub(self, *, rewrite: bool) -> bool:
        """Take what was deleted out of the files; return whether nothing of it is left there.

        SQLite overwrites deleted rows (`secure_delete`), but older states of pages stand in its
        log, and a row that moved to another page may have left a copy of itself, until the whole
        file is written anew. Postgres does such things by itself, in its own time.

        Args:
            rewrite: whether there is time for that last: nobody can write meanwhile.
        """
        if not self.is_sqlite:
            return True
        async with self.engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection

            async def number(statement: str) -> int:
                async with driver.execute(statement) as cursor:
                    row = await cursor.fetchone()
                return int(row[0])

            if await number("pragma user_version") == HAS_REMAINS:
                size_bytes = await number("pragma page_count") * await number("pragma page_size")
                if rewrite and size_bytes <= LARGEST_REWRITE_BYTES:
                    await driver.execute("vacuum")
                    await driver.execute("pragma user_version = 0")
            is_busy = await number("pragma wal_checkpoint(truncate)")
            return not is_busy and not await number("pragma user_version")

    async def aclose(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def _is_passing(error: Conflict | DBAPIError) -> bool:
    if isinstance(error, Conflict | IntegrityError):
        return True
    return getattr(error.orig, "sqlstate", None) in DEADLOCK_STATES


def _json(value: Any) -> str:
    """Infinities and NaN become null: no reader of JSON takes them."""
    return to_json(value, inf_nan_mode="null").decode()


def _begin_sqlite(connection: Connection) -> None:
    # Taking the write lock at once means that no transaction can fail half-way for want of it.
    read_only = connection.get_execution_options().get("read_only", False)
    driver: Any = connection.connection.driver_connection
    driver.begin("begin" if read_only else "begin immediate")
