"""Erasing takes a call out of every table, on both databases, and touches no other call."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from contracts.call import CallState
from sidecar.store import calls, erasures
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.schema import metadata
from sidecar.store.tables import (
    call_events,
    cdrs,
    deliveries,
    delivery_attempts,
    erased_calls,
    recordings,
    reported_results,
    results,
    standbys,
    tasks,
    tenants,
)
from sidecar.store.telephony import dials, queue_items
from tests.fakes.control_plane import START
from tests.fakes.dump import dump

T = "default"
NAMING_NO_CALL = {
    "api_keys",
    "bot_versions",
    "bots",
    "endpoints",
    "erased_calls",
    "event_counter",
    "knowledge_bases",
    "knowledge_chunks",
    "knowledge_documents",
    "leases",
    "numbers",
    "tenants",
    "trunks",
    "vendor_keys",
    "workers",
}
"""Tables that hold nothing of a call, but perhaps its id."""


def row(call_id: str, **changes: Any) -> CallRow:
    given: dict[str, Any] = {
        "call_id": call_id,
        "tenant_id": T,
        "idempotency_key": f"key of {call_id}",
        "session_id": f"session-{call_id}",
        "bot_id": "desk",
        "channel": "websocket",
        "call_direction": "incoming",
        "room_name": f"ws-{call_id}",
        "planned_at": START,
        "expires_at": None,
        "stream_id": f"stream-{call_id}",
        "state": CallState.ENDED,
        **changes,
    }
    return CallRow(**given)


async def store(database: Database, *rows: CallRow) -> None:
    async with database.transaction() as connection:
        for each in rows:
            await calls.add(connection, each)


async def fill(database: Database, call_id: str, sequence: int) -> None:
    """Put a row that names the call and holds its name into every table that can."""
    name = {"name": f"name of {call_id}"}
    own = {"tenant_id": T, "call_id": call_id}
    event = {"bot_id": "desk", "type": "t", "at": START, "data": name}
    delivery = f"delivery-{call_id}"
    sent: dict[str, Any] = {"bot_id": "desk", "url": "u", "body": str(name), "state": "pending"}
    task: dict[str, Any] = {"bot_id": "desk", "kind": "qc", "state": "done", "attempt": 1}
    rows: list[tuple[Any, dict[str, Any]]] = [
        (call_events, {**own, **event, "sequence": sequence, "event_id": f"event-{call_id}"}),
        (results, {**own, "revision": 0, "body": name, "created_at": START}),
        (
            deliveries,
            {
                **own,
                **sent,
                "delivery_id": delivery,
                "attempt": 1,
                "created_at": START,
                "due_at": START,
            },
        ),
        (
            delivery_attempts,
            {
                "tenant_id": T,
                "delivery_id": delivery,
                "attempt": 1,
                "at": START,
                "duration_ms": 1.0,
                "response": f"taken: {call_id}",
            },
        ),
        (
            tasks,
            {
                **own,
                **task,
                "task_id": f"task-{call_id}",
                "result": name,
                "created_at": START,
                "due_at": START,
            },
        ),
        (
            cdrs,
            {**own, "stream_id": f"other-{call_id}", "body": name, "received_at": START},
        ),
        (
            reported_results,
            {
                "tenant_id": T,
                "session_id": f"session-{call_id}",
                "body": name,
                "status": "completed",
                "created_at": START,
                "completed_at": START,
            },
        ),
        (
            recordings,
            {
                **own,
                "recording_key": f"session-{call_id}.wav",
                "token": f"token-{call_id}",
                "created_at": START,
                "place": "s3",
            },
        ),
        (
            dials,
            {
                **own,
                "trunk_id": "t1",
                "kind": "bridge",
                "to_number": f"number of {call_id}",
                "from_number": "",
                "state": "settled",
                "created_at": START,
                "ringing_timeout_s": 45.0,
            },
        ),
        (queue_items, queued(f"queue {sequence}", call_id=call_id, metadata=name)),
        (
            standbys,
            {
                **own,
                "standby_id": f"standby {sequence}",
                "room_name": "room",
                "state": "claimed",
                "made_at": START,
            },
        ),
    ]
    async with database.transaction() as connection:
        for table, values in rows:
            await connection.execute(insert(table).values(values))


def queued(queue_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "queue_id": queue_id,
        "tenant_id": T,
        "idempotency_key": queue_id,
        "bot_id": "desk",
        "trunk_id": "t1",
        "to_number": "701",
        "call_service": "exotel",
        "metadata": {},
        "state": "dispatched",
        "retry_count": 0,
        "queued_at": START,
        "due_at": START,
        "expires_at": START,
        **changes,
    }


async def erase(database: Database, *call_ids: str, tenant_id: str = T) -> list[str]:
    async with database.transaction() as connection:
        return await erasures.erase(connection, tenant_id, call_ids, START)


async def test_erased_call_is_in_no_table_and_others_are_untouched(database: Database) -> None:
    await store(database, row("gone"), row("kept"))
    await fill(database, "gone", 1)
    await fill(database, "kept", 2)
    before = {line for line in (await dump(database)).splitlines() if "gone" not in line}
    assert await erase(database, "gone") == ["gone"]
    after = set((await dump(database, without={"erased_calls"})).splitlines())
    assert [line for line in after if "gone" in line] == []
    # What waited in the same room is still known, but not for whom.
    assert {line for line in before if "kept" in line} <= after


def test_every_table_is_either_reached_or_holds_nothing_of_a_call() -> None:
    reached = {
        table.name
        for table in (
            *(call_events, results, deliveries, delivery_attempts, tasks),
            *(cdrs, reported_results, recordings, standbys, dials, queue_items),
        )
    }
    assert set(metadata.tables) == reached | NAMING_NO_CALL | {"calls"}


async def test_its_recording_is_known_until_it_is_gone(database: Database) -> None:
    await store(database, row("c1"), row("c2"))
    await fill(database, "c1", 1)
    await erase(database, "c1", "c2")
    later = START + timedelta(minutes=1)
    async with database.transaction() as connection:
        (orphan,) = await erasures.orphan_recordings(connection, START, limit=10)
        assert (orphan.call_id, orphan.recording_key, orphan.place) == (
            *("c1", "session-c1.wav", "s3"),
        )
        await erasures.recording_is_stuck(connection, "c1", later)
        assert await erasures.orphan_recordings(connection, START, limit=10) == []
        assert await erasures.orphan_recordings_of(connection, ["c1", "c2"]) == [orphan]
        await erasures.forget(connection, later)
        # Not before its recording is gone.
        assert await erasures.is_erased(connection, T, "c1")
        assert not await erasures.is_erased(connection, T, "c2")
        await erasures.recording_is_gone(connection, "c1")
        assert await erasures.orphan_recordings(connection, later, limit=10) == []
        stone = (await connection.execute(select(erased_calls))).mappings().one()
    assert {name for name, value in stone.items() if value} == {
        *("call_id", "tenant_id", "erased_at"),
    }


async def test_live_unknown_and_foreign_calls_are_not_erased(database: Database) -> None:
    await store(database, row("live", state=CallState.TALKING), row("ended"))
    assert await erase(database, "live", "unknown") == []
    assert await erase(database, "ended", tenant_id="other") == []
    async with database.read() as connection:
        assert await calls.get(connection, T, "live")
        assert await calls.get(connection, T, "ended")
        assert not await erasures.is_erased(connection, T, "ended")


async def test_cdr_of_the_stream_goes_unless_it_is_another_calls(database: Database) -> None:
    await store(database, row("c1", stream_id="s1"), row("c2", stream_id="s2"))
    cdr = {"tenant_id": T, "body": {}, "received_at": START}
    async with database.transaction() as connection:
        for stream_id, call_id in (("s1", None), ("s2", "c9"), ("s3", None)):
            told = {**cdr, "stream_id": stream_id, "call_id": call_id}
            await connection.execute(insert(cdrs).values(told))
    await erase(database, "c1", "c2")
    async with database.read() as connection:
        left = set(await connection.scalars(select(cdrs.c.stream_id)))
    assert left == {"s2", "s3"}


async def test_number_is_found_wherever_it_stands(database: Database) -> None:
    await store(
        database,
        row("caller", caller_id="+49 (30) 123-456"),
        row("callee", did="004930123456"),
        row("event", connected_event={"lead": {"mobile": 4930123456}}),
        row("live", caller_id="+4930123456", state=CallState.TALKING),
        row("told"),
        row("posted", session_id="posted"),
        row("near", caller_id="+493012345678"),
        row("text", connected_event={"note": "x4930123456"}),
        row("foreign", tenant_id="other", caller_id="+4930123456"),
    )
    cdr = {"tenant_id": T, "body": {"To": "04930123456"}, "received_at": START}
    result = {"tenant_id": T, "status": "completed", "created_at": START, "completed_at": START}
    async with database.transaction() as connection:
        await connection.execute(insert(cdrs).values({**cdr, "stream_id": "s", "call_id": "told"}))
        for session_id in ("posted", "elsewhere"):
            body = {"from_number": "+49 30 123456"}
            posted = {**result, "session_id": session_id, "body": body}
            await connection.execute(insert(reported_results).values(posted))
        found = await erasures.of_number(connection, T, "4930123456")
    assert set(found.calls) == {"caller", "callee", "event", "told", "posted"}
    assert found.live == ["live"]
    assert found.cdrs == ["s"]
    assert set(found.reported) == {"posted", "elsewhere"}


async def test_queued_calls_that_came_to_nothing_are_found_and_forgotten(
    database: Database,
) -> None:
    named = {"to_number": "+49 30 123456"}
    await store(database, row("c1", planned_at=START))
    async with database.transaction() as connection:
        for values in (
            queued("failed", state="failed", **named),
            queued("told", state="failed", metadata={"lead": "004930123456"}),
            queued("kept", call_id="c1"),
            queued("waits", state="pending", **named),
            queued("foreign", state="failed", tenant_id="other", **named),
            queued("young", state="failed", queued_at=START + timedelta(days=1)),
        ):
            await connection.execute(insert(queue_items).values(values))
        found = await erasures.of_number(connection, T, "4930123456")
        assert sorted(found.queued) == ["failed", "told"]
        later = START + timedelta(seconds=1)
        old = await erasures.expired_queued(connection, T, later, limit=9)
        assert sorted(old) == ["failed", "told"]
        assert await erasures.forget_queued(connection, T, ["failed", "waits", "foreign"]) == 1
        left = set(await connection.scalars(select(queue_items.c.queue_id)))
    assert left == {"told", "kept", "waits", "foreign", "young"}


async def test_records_of_others_are_forgotten_by_key(database: Database) -> None:
    await store(database, row("c1"))
    await fill(database, "c1", 1)
    async with database.transaction() as connection:
        assert await erasures.forget_cdrs(connection, "other", ["other-c1"]) == 0
        assert await erasures.forget_cdrs(connection, T, ["other-c1"]) == 1
        assert await erasures.forget_reported(connection, T, ["session-c1", "x"]) == 1


async def test_expired_calls_are_the_old_ended_ones_nobody_waits_for(database: Database) -> None:
    old, promised_since = START - timedelta(days=10), START - timedelta(days=3)
    ancient = old - timedelta(days=1)
    await store(
        database,
        row("second", planned_at=old),
        row("first", planned_at=ancient),
        row("young"),
        row("live", planned_at=old, state=CallState.TALKING),
        row("unfinished", planned_at=old, result_due_at=START),
        row("on its way", planned_at=old),
        row("hopeless", planned_at=old),
        row("foreign", planned_at=old, tenant_id="other"),
    )
    for sequence, call_id in enumerate(("on its way", "hopeless", "first"), start=1):
        await fill(database, call_id, sequence)
    async with database.transaction() as connection:
        table = deliveries
        for call_id, values in (
            ("hopeless", {"created_at": old}),
            ("first", {"state": "dead"}),
        ):
            mine = table.c.call_id == call_id
            await connection.execute(table.update().where(mine).values(values))
        before = START - timedelta(days=5)

        async def expired(limit: int) -> list[str]:
            return await erasures.expired(
                connection, T, before, promised_since=promised_since, limit=limit
            )

        assert set(await expired(9)) == {"first", "second", "hopeless"}
        assert await expired(1) == ["first"]


async def test_expired_records_are_those_received_before(database: Database) -> None:
    await store(database, row("c1"))
    await fill(database, "c1", 1)
    later = START + timedelta(seconds=1)
    async with database.read() as connection:
        assert await erasures.expired_records(connection, T, START, limit=5) == ([], [])
        found = await erasures.expired_records(connection, T, later, limit=5)
    assert found == (["other-c1"], ["session-c1"])


async def test_tenants_may_say_how_long_their_calls_are_kept(database: Database) -> None:
    async with database.transaction() as connection:
        assert await erasures.retentions(connection) == {T: None}
        await connection.execute(tenants.update().values(retention_days=30))
        assert await erasures.retentions(connection) == {T: 30}
        await connection.execute(tenants.update().values(retention_days=None))


@pytest.mark.parametrize("call_id", ["c1", "unknown"])
async def test_erasing_again_does_nothing(database: Database, call_id: str) -> None:
    await store(database, replace(row("c1")))
    await erase(database, "c1")
    assert await erase(database, call_id) == []
