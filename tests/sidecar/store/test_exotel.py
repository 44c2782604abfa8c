"""Calls are found by Exotel's names for them, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.ids import Channel
from sidecar.store import cdrs
from sidecar.store.exotel import call_of, may_tell
from tests.fakes.control_plane import START, ControlPlane

LONG_AGO = START - timedelta(days=1)


async def planned(
    plane: ControlPlane, key: str, stream_sid: str, call_sid: str, bot_id: str = "desk"
) -> str:
    plane.clock.advance(1)
    plan = await plane.plan(
        key,
        bot_id=bot_id,
        channel=Channel.EXOTEL,
        stream_id=stream_sid,
        connected_event={"call_sid": call_sid, "account_sid": "acme"},
    )
    return plan.call_id


async def found(
    plane: ControlPlane, tenant_id: str = "default", bot_id: str | None = "desk", **names: str
) -> str | None:
    given = {"call_sid": "", "stream_sid": "", **names}
    async with plane.database.read() as connection:
        row = await call_of(connection, tenant_id, bot_id, since=LONG_AGO, **given)
    return None if row is None else row.call_id


async def test_call_is_found_by_its_stream_before_its_telephone_call(plane: ControlPlane) -> None:
    await plane.ready()
    first = await planned(plane, "k1", "s1", "c1")
    second = await planned(plane, "k2", "s2", "c1")
    assert await found(plane, stream_sid="s1", call_sid="c1") == first
    assert await found(plane, stream_sid="s2") == second
    # One telephone call may have had a bot twice: the last time is asked about.
    assert await found(plane, call_sid="c1") == second
    assert await found(plane, stream_sid="s9", call_sid="c1") == second


@pytest.mark.parametrize("names", [{}, {"call_sid": "c9"}, {"stream_sid": "s9"}])
async def test_call_that_nobody_knows_is_not_found(
    plane: ControlPlane, names: dict[str, str]
) -> None:
    await plane.ready()
    await planned(plane, "k1", "", "c1")
    assert await found(plane, **names) is None


async def test_other_doors_tenants_and_days_are_left_out(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await planned(plane, "k1", "s1", "c1")
    await plane.plan("k2", stream_id="s2", connected_event={"call_sid": "c2"})
    assert await found(plane, stream_sid="s2", call_sid="c2") is None
    assert await found(plane, "other", stream_sid="s1") is None
    assert await found(plane, stream_sid="s1") == call_id
    async with plane.database.read() as connection:
        late = START + timedelta(hours=1)
        names = {"call_sid": "c1", "stream_sid": "s1"}
        assert await call_of(connection, "default", "desk", since=late, **names) is None


async def test_each_bot_of_a_telephone_call_has_its_own(plane: ControlPlane) -> None:
    await plane.ready()
    await plane.add_bot(bot_id="sales")
    first = await planned(plane, "k1", "s1", "c1")
    second = await planned(plane, "k2", "s2", "c1", bot_id="sales")
    assert await found(plane, call_sid="c1") == first
    assert await found(plane, bot_id="sales", stream_sid="s1", call_sid="c1") == second
    assert await found(plane, bot_id=None, call_sid="c1") == second


@pytest.mark.parametrize("stream_sid", ["s1", "s2", "s3", "s4"])
async def test_stream_of_another_is_not_told_of(plane: ControlPlane, stream_sid: str) -> None:
    await plane.ready()
    await planned(plane, "k1", "s1", "c1")
    await plane.plan("k2", stream_id="s2")
    async with plane.database.transaction() as connection:
        await cdrs.save(connection, "default", "s3", {"bot_id": "desk"}, START)
        await cdrs.save(connection, "default", "s4", {"talktime": 7}, START)
        assert not await may_tell(connection, "default", "sales", stream_sid)
        assert await may_tell(connection, "default", "desk", stream_sid) is (
            stream_sid in {"s1", "s3"}
        )
        assert await may_tell(connection, "other", "sales", stream_sid)


async def test_record_belongs_to_the_call_that_is_named(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await planned(plane, "k1", "s1", "c1")
    async with plane.database.transaction() as connection:
        assert not await cdrs.is_told(connection, "default", call_id)
        assert await cdrs.save(connection, "default", "s9", {"a": 1}, START, call_id=call_id)
        assert await cdrs.is_told(connection, "default", call_id)
        assert not await cdrs.is_told(connection, "other", call_id)
