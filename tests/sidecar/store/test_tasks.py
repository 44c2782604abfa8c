"""The statements by which workers share tasks, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from sidecar.store import tasks
from sidecar.store.database import Database
from sidecar.store.tasks import TaskRow, TaskState
from tests.fakes.control_plane import START

T = "default"
LEASE = timedelta(seconds=30)


def task(call_id: str = "c1", kind: str = "analysis", **changes: Any) -> TaskRow:
    given: dict[str, Any] = {
        "task_id": f"{call_id}-{kind}",
        "tenant_id": T,
        "call_id": call_id,
        "bot_id": "desk",
        "kind": kind,
        "created_at": START,
        "due_at": START,
        **changes,
    }
    return TaskRow(**given)


async def stored(database: Database, *rows: TaskRow) -> None:
    async with database.transaction() as connection:
        for row in rows:
            await tasks.add(connection, row)


async def claim(database: Database, after_s: float = 0, worker_id: str = "w1") -> TaskRow | None:
    now = START + timedelta(seconds=after_s)
    async with database.transaction() as connection:
        return await tasks.claim(connection, T, worker_id, now, now + LEASE)


async def settle(database: Database, row: TaskRow, state: TaskState = TaskState.DONE) -> bool:
    settled = replace(row, state=state, result={"A": 1}, settled_at=START)
    async with database.transaction() as connection:
        return await tasks.settle(connection, settled)


async def any_due(database: Database, after_s: float = 0, tenant_id: str = T) -> bool:
    async with database.read() as connection:
        return await tasks.is_any_due(connection, tenant_id, START + timedelta(seconds=after_s))


async def test_claim_counts_the_attempt_and_takes_the_oldest(database: Database) -> None:
    older = START - timedelta(seconds=5)
    await stored(database, task("c1"), task("c2", due_at=older))
    taken = task("c2", due_at=START + LEASE, attempt=1, worker_id="w1")
    assert await claim(database) == taken


async def test_claim_leaves_what_is_not_due_not_pending_or_not_the_tenants(
    database: Database,
) -> None:
    await stored(
        database,
        task("c1", due_at=START + timedelta(seconds=1)),
        task("c2", state=TaskState.DONE),
        task("c3", state=TaskState.FAILED),
        task("c4", tenant_id="other"),
    )
    assert not await any_due(database)
    assert await claim(database) is None
    assert await any_due(database, after_s=1)
    assert await any_due(database, tenant_id="other")


async def test_claimants_share_tasks_without_doubling(database: Database) -> None:
    await stored(database, *(task(f"c{number}") for number in range(4)))
    claims: list[str] = []
    while len(claims) < 4:
        found = await asyncio.gather(*(claim(database) for _ in range(6)))
        claims += [row.call_id for row in found if row is not None]
    assert sorted(claims) == ["c0", "c1", "c2", "c3"]
    assert not await any_due(database)


async def test_task_of_a_dead_worker_is_taken_up_after_the_lease(database: Database) -> None:
    await stored(database, task())
    first = await claim(database)
    assert await claim(database, after_s=29, worker_id="w2") is None
    second = await claim(database, after_s=30, worker_id="w2")
    assert first is not None
    assert second is not None
    assert (second.attempt, second.worker_id) == (2, "w2")
    assert not await settle(database, first, TaskState.FAILED)
    assert await settle(database, second)
    assert not await settle(database, second, TaskState.FAILED)
    async with database.read() as connection:
        (row,) = await tasks.of_call(connection, T, "c1")
        assert row == await tasks.get(connection, T, "c1-analysis")
        assert await tasks.get(connection, "other", "c1-analysis") is None
    assert (row.state, row.result, row.settled_at) == (TaskState.DONE, {"A": 1}, START)


async def test_giving_up_fails_what_is_open_and_fences_whoever_has_it(database: Database) -> None:
    await stored(database, task(), task(kind="qc", state=TaskState.DONE), task("c2"))
    taken = await claim(database)
    assert taken is not None
    async with database.transaction() as connection:
        await tasks.give_up(connection, T, taken.call_id, START, "too late")
    assert not await settle(database, taken)
    async with database.read() as connection:
        rows = await tasks.of_call(connection, T, taken.call_id)
    assert rows[0].state == TaskState.FAILED
    assert [row.error for row in rows if row.state == TaskState.DONE] in ([], [None])
    assert await any_due(database)


async def test_call_has_each_kind_of_task_once(database: Database) -> None:
    await stored(database, task())
    with pytest.raises(IntegrityError):
        await stored(database, task(task_id="another"))
