"""Under which name a call's present agent is in its room, however it came there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from contracts import ids
from sidecar.loss import identity_of_agent
from sidecar.store.calls import BY_RULE, CallRow

NAME = "call-_+14155550123_abc"
ROW = CallRow(
    call_id="6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b11",
    tenant_id="default",
    idempotency_key=f"{BY_RULE}f00",
    session_id="s",
    bot_id="desk",
    channel="sip",
    call_direction="incoming",
    room_name=NAME,
    leg_identity="sip_+14155550123",
    media="tracks",
    planned_at=datetime(2026, 6, 5, tzinfo=UTC),
    expires_at=None,
)


def test_agent_a_rule_called_is_named_after_the_room() -> None:
    assert identity_of_agent(ROW) == ids.room_agent_identity(NAME)


def test_agent_that_replaces_it_is_named_after_the_call() -> None:
    assert identity_of_agent(replace(ROW, incarnation=2)) == ids.agent_identity(ROW.call_id, 2)


def test_agent_dispatched_into_such_a_room_is_named_after_the_call() -> None:
    row = replace(ROW, idempotency_key="leg f00")
    assert identity_of_agent(row) == ids.agent_identity(ROW.call_id, 1)


def test_key_that_only_looks_like_it_names_nobody_else() -> None:
    row = replace(ROW, leg_identity="", media="data")
    assert identity_of_agent(row) == ids.agent_identity(ROW.call_id, 1)
