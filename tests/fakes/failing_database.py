"""A database that dies at a chosen commit: just before it, or just after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

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

    def fail_at(self, commit: int, when: When) -> None:
        """Fail at the `commit`-th commit from now on (from 1)."""
        self._commits_left, self._when = commit, when

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        self._commits_left -= 1
        failing = self._when if self._commits_left == 0 else None
        async with super().transaction() as connection:
            yield connection
            if failing == "before":
                raise StoreFailed(failing)
        if failing == "after":
            raise StoreFailed(failing)
