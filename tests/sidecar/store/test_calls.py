"""Call rows: compare-and-set, timers and listings, scoped to their tenant, on both databases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.call import CallState
from contracts.outcome import Reason
from sidecar.store import calls
from sidecar.store.calls import CallRow
from sidecar.store.database import Conflict, Database
from sidecar.store.tables import calls as table
from tests.fakes.control_plane import START

T = "default"


def call_row(call_id: str = "c1", **changes: Any) -> CallRow:
    given: dict[str, Any] = {
        "call_id": call_id,
        "tenant_id": T,
        "idempotency_key": f"key-{call_id}",
        "session_id": f"session-{call_id}",
        "bot_id": "desk",
        "channel": "websocket",
        "call_direction": "incoming",
        "room_name": f"ws-{call_id}",
        "planned_at": START,
        "expires_at": START + timedelta(seconds=30),
        **changes,
    }
    return CallRow(**given)


async def stored(database: Database, *rows: CallRow) -> None:
    async with database.transaction() as connection:
        for row in rows:
            await calls.add(connection, row)


async def test_row_comes_back_as_it_was_stored(database: Database) -> None:
    row = call_row(
        connected_event={"name": "ß \u2028"},
        config={"bot_id": "desk"},
        variables={"call.name": "x"},
        state=CallState.ENDED,
        answered_at=START,
        end_at=START + timedelta(seconds=1.25),
        end_reason=Reason.BOT_ENDED,
    )
    await stored(database, row)
    async with database.read() as connection:
        assert await calls.get(connection, T, "c1") == row
        assert await calls.by_key(connection, T, "key-c1") == row
    assert row.call.duration_s == 1.25


def test_every_column_has_a_field() -> None:
    assert {field.name for field in fields(CallRow)} == set(table.c.keys())


async def test_saving_a_row_that_has_moved_is_a_conflict(database: Database) -> None:
    row = call_row()
    await stored(database, row)
    async with database.transaction() as connection:
        moved = await calls.save(connection, row, replace(row, worker_id="w1"))
    assert moved.version == 2
    with pytest.raises(Conflict):
        async with database.transaction() as connection:
            await calls.save(connection, row, replace(row, worker_id="w2"))
    async with database.read() as connection:
        assert await calls.get(connection, T, "c1") == moved


async def test_idempotency_key_and_session_are_unique(database: Database) -> None:
    await stored(database, call_row())
    for clash in (
        call_row("c2", idempotency_key="key-c1"),
        call_row("c2", session_id="session-c1"),
    ):
        with pytest.raises(IntegrityError):
            await stored(database, clash)


async def test_other_tenants_see_nothing(database: Database) -> None:
    row = call_row()
    await stored(database, row)
    async with database.transaction() as connection:
        assert await calls.get(connection, "other", "c1") is None
        assert await calls.by_key(connection, "other", "key-c1") is None
        assert await calls.count_live(connection, "other") == 0
        assert await calls.page(connection, "other") == []
        assert not await calls.is_taken(connection, "other", "session-c1")
        await calls.hold(connection, "other", ["c1"], START + timedelta(hours=1))
        await calls.discard(connection, replace(row, tenant_id="other"))
        with pytest.raises(Conflict):
            await calls.save(connection, replace(row, tenant_id="other"), row)
        assert await calls.get(connection, T, "c1") == row


async def test_count_live_leaves_out_the_ended(database: Database) -> None:
    await stored(database, call_row("c1"), call_row("c2", state=CallState.ENDED))
    async with database.read() as connection:
        assert await calls.count_live(connection, T) == 1


async def test_due_finds_every_kind_of_timer(database: Database) -> None:
    late, later = START - timedelta(seconds=1), START + timedelta(seconds=1)
    await stored(
        database,
        call_row("claim", claim_due_at=late),
        call_row("settle", settle_due_at=late),
        call_row("expiry", expires_at=late),
        call_row("room", state=CallState.ENDED, expires_at=None, room_due_at=late),
        call_row("not-yet", claim_due_at=later),
        call_row("over", state=CallState.ENDED, expires_at=late, claim_due_at=late),
    )
    async with database.read() as connection:
        due = {row.call_id for row in await calls.due(connection, START)}
        assert due == {"claim", "settle", "expiry", "room"}
        assert await calls.next_due_at(connection) == late


async def test_next_due_at_is_none_without_live_calls(database: Database) -> None:
    await stored(database, call_row(state=CallState.ENDED))
    async with database.read() as connection:
        assert await calls.next_due_at(connection) is None


async def test_hold_prolongs_only_unanswered_calls(database: Database) -> None:
    until = START + timedelta(minutes=5)
    await stored(database, call_row("c1"), call_row("c2", state=CallState.TALKING), call_row("c3"))
    async with database.transaction() as connection:
        await calls.hold(connection, T, ["c1", "c2"], until)
        expiries = [(await calls.get(connection, T, key)) for key in ("c1", "c2", "c3")]
    short = START + timedelta(seconds=30)
    assert [row and row.expires_at for row in expiries] == [until, short, short]


async def test_grace_postpones_what_ran_out_while_we_were_away(database: Database) -> None:
    now, grace = START + timedelta(hours=1), timedelta(seconds=30)
    await stored(database, call_row("c1", claim_due_at=START, expires_at=now + 2 * grace))
    async with database.transaction() as connection:
        await calls.grant_grace(connection, now, grace)
        row = await calls.get(connection, T, "c1")
    assert row is not None
    assert (row.claim_due_at, row.settle_due_at, row.expires_at) == (
        now + grace,
        None,
        now + 2 * grace,
    )


async def test_page_filters_and_continues(database: Database) -> None:
    await stored(
        database,
        *(
            call_row(f"c{minute}", planned_at=START + timedelta(minutes=minute), caller_id="+1")
            for minute in range(4)
        ),
        call_row("other-bot", bot_id="other", state=CallState.ENDED),
    )
    async with database.read() as connection:
        first = await calls.page(connection, T, bot_ids=["desk"], limit=3)
        rest = await calls.page(connection, T, bot_ids=["desk"], before=first[-1].planned_at)
        ended = await calls.page(connection, T, states=["ended"])
        by_caller = await calls.page(connection, T, caller_id="+1", session_id="session-c2")
        nobody = await calls.page(connection, T, bot_ids=[])
    assert [row.call_id for row in first] == ["c3", "c2", "c1"]
    assert [row.call_id for row in rest] == ["c0"]
    assert [row.call_id for row in ended] == ["other-bot"]
    assert [row.call_id for row in by_caller] == ["c2"]
    assert nobody == []


async def test_discard_takes_back_only_a_planned_call(database: Database) -> None:
    planned, talking = call_row("c1"), call_row("c2", state=CallState.TALKING)
    await stored(database, planned, talking)
    async with database.transaction() as connection:
        await calls.discard(connection, planned)
        await calls.discard(connection, talking)
        assert await calls.get(connection, T, "c1") is None
        assert await calls.get(connection, T, "c2") == talking


async def test_each_revision_of_a_result_exists_once(database: Database) -> None:
    row = call_row()
    async with database.transaction() as connection:
        await calls.add_result(connection, row, 0, {"revision": 0}, START)
        await calls.add_result(connection, row, 1, {"revision": 1}, START)
    with pytest.raises(IntegrityError):
        async with database.transaction() as connection:
            await calls.add_result(connection, row, 1, {}, START)
    async with database.read() as connection:
        assert await calls.latest_result(connection, T, "c1") == {"revision": 1}
        assert await calls.latest_result(connection, "other", "c1") is None


async def test_name_of_another_call_is_taken(database: Database) -> None:
    await stored(database, call_row())
    async with database.read() as connection:
        for name, taken in (("c1", True), ("session-c1", True), ("c2", False)):
            assert await calls.is_taken(connection, "default", name) is taken


LIVE = "SCAN calls USING INDEX ix_calls_live"
ROOM = "SEARCH calls USING INDEX ix_calls_room_name (room_name=?)"


@pytest.mark.parametrize(
    ("ask", "way"),
    [
        (lambda connection: calls.count_live(connection, T), LIVE),
        (lambda connection: calls.live_by_way(connection, T), LIVE),
        (lambda connection: calls.count_on_trunk(connection, T, "t1"), LIVE),
        (lambda connection: calls.any_unclaimed(connection, T), LIVE),
        (lambda connection: calls.due(connection, START), LIVE),
        (lambda connection: calls.live_in(connection, T, "room"), ROOM),
        (lambda connection: calls.held_in(connection, T, "room"), ROOM),
        (lambda connection: calls.ended_among(connection, ["room", "other"]), ROOM),
    ],
)
async def test_calls_that_are_over_are_not_looked_through(
    sqlite: Database, ask: Callable[[AsyncConnection], Awaitable[Any]], way: str
) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    async with sqlite.read() as connection:
        event.listen(sqlite.engine.sync_engine, "before_cursor_execute", note)
        await ask(connection)
        statement, parameters = asked[-1]
        found = await connection.exec_driver_sql(f"explain query plan {statement}", parameters)
        plan = [row[-1] for row in found]
    assert way in plan
