"""A database that dies at a chosen commit, just before it or just after, or is away for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.database import Database

When = Literal["before", "after"]


class StoreFailed(Exception):
    """The process died here, as far as the code under test can tell."""


class FailingDatabase(Database):
    """Fails once, at the commit it was told."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._commits_left = 0
        self._when: When | None = None
        self._away = range(0)

    def fail_at(self, commit: int, when: When) -> None:
        """Fail at the `commit`-th commit from now on (from 1)."""
        self._commits_left, self._when = commit, when

    def be_away(self, after: int, failures: int) -> None:
        """Refuse `failures` transactions, after those that come first, as if it were locked."""
        self._commits_left = 0
        self._away = range(-after - failures, -after)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        self._commits_left -= 1
        if self._commits_left in self._away:
            raise OperationalError("begin immediate", {}, Exception("database is locked"))
        failing = self._when if self._commits_left == 0 else None
        async with super().transaction() as connection:
            yield connection
            if failing == "before":
                raise StoreFailed(failing)
        if failing == "after":
            raise StoreFailed(failing)
