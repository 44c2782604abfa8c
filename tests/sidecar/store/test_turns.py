"""A bot's newest turns, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text

from contracts.event import EventType
from contracts.report import TurnMeasured
from sidecar.store import events, turns
from sidecar.store.database import Database
from sidecar.store.events import Draft
from tests.fakes.control_plane import START

T = "default"


def turn(number: int, *, bot_id: str = "desk", at: datetime = START) -> Draft:
    fact = TurnMeasured(at=at, turn=number, response_ms=100.0 * number)
    return Draft(
        call_id="c1",
        bot_id=bot_id,
        type=EventType.LATENCY,
        at=at,
        data=fact.model_dump(mode="json"),
        source="agent",
        incarnation=1,
        source_seq=number,
    )


async def stored(database: Database, *drafts: Draft, tenant_id: str = T) -> None:
    async with database.transaction() as connection:
        await events.append(connection, tenant_id, drafts)


async def test_newest_come_first_and_no_more_than_asked(database: Database) -> None:
    await stored(database, *(turn(number) for number in (1, 2, 3)), turn(4, bot_id="other"))
    async with database.read() as connection:
        found = await turns.newest(connection, T, "desk", limit=2)
    assert [each.turn for each in found] == [3, 2]
    assert found[0].response_ms == 300


async def test_other_tenants_and_other_events_do_not_count(database: Database) -> None:
    await stored(database, turn(1), tenant_id="other")
    notice = Draft(call_id="c1", bot_id="desk", type=EventType.NOTICE, at=START, data={})
    await stored(database, notice)
    async with database.read() as connection:
        assert await turns.newest(connection, T, "desk") == []


async def test_since_leaves_out_the_older(database: Database) -> None:
    later = START + timedelta(hours=1)
    await stored(database, turn(1), turn(2, at=later))
    async with database.read() as connection:
        found = await turns.newest(connection, T, "desk", since=later)
    assert [each.turn for each in found] == [2]


async def test_turns_of_before_the_split_are_read(database: Database) -> None:
    old = turn(1)
    data = {"type": "turn_measured", "at": old.data["at"], "turn": 1, "response_ms": 5.0}
    await stored(database, Draft(call_id="c", bot_id="desk", type=old.type, at=START, data=data))
    async with database.read() as connection:
        (found,) = await turns.newest(connection, T, "desk")
    assert (found.response_ms, found.clause_ms) == (5.0, None)


async def test_a_thousand_calls_of_others_are_not_looked_through(sqlite: Database) -> None:
    query = (
        "explain query plan select data from call_events where tenant_id = 'a' and bot_id = 'b'"
        " and type = 'voicefleet.call.latency' order by sequence desc limit 1000"
    )
    async with sqlite.read() as connection:
        plan = [row[-1] for row in await connection.execute(text(query))]
    assert plan == [
        "SEARCH call_events USING INDEX ix_call_events_turns (tenant_id=? AND bot_id=?)"
    ]
