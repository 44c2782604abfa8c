"""Rows of other runtimes' results: one per session and tenant, also for two at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.result import CallResultsPayload
from sidecar.reported import merged
from sidecar.store import reported
from sidecar.store.database import Database
from sidecar.store.reported import ReportedRow
from tests.fakes.control_plane import START

ROW = ReportedRow(
    session_id="s1",
    body={"session_id": "s1", "transcript": [None]},
    status="completed",
    recording_token="t",
    created_at=START,
    completed_at=START,
)


async def test_row_is_read_as_it_was_written(database: Database) -> None:
    changed = replace(ROW, status="failed", body={"a": 1})
    async with database.transaction() as connection:
        await reported.add(connection, "default", ROW)
        await reported.add(connection, "other", ROW)
        await reported.change(connection, "default", changed)
    async with database.read() as connection:
        assert await reported.get(connection, "default", "s1") == changed
        assert await reported.get(connection, "other", "s1") == ROW
        assert await reported.get(connection, "default", "s2") is None


async def test_reports_at_the_same_time_all_count(database: Database) -> None:
    async def report(number: int) -> None:
        payload = CallResultsPayload.model_validate({"session_id": "s1", f"key_{number}": number})

        async def work(connection: AsyncConnection) -> None:
            before = await reported.get(connection, "default", "s1", for_update=True)
            after = merged(before, payload, START, lambda: f"token {number}")
            change = reported.add if before is None else reported.change
            await change(connection, "default", after)

        await database.run(work)

    await asyncio.gather(*(report(number) for number in range(4)))
    async with database.read() as connection:
        row = await reported.get(connection, "default", "s1")
    assert row is not None
    assert {f"key_{number}" for number in range(4)} <= row.body.keys()
