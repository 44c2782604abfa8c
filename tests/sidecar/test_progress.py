"""How facts move a call: every fact in every state, and the rules of ending."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.call import CallState
from contracts.outcome import Reason
from contracts.report import (
    AgentEnded,
    ConversationStarted,
    Fact,
    LegAnswered,
    LegEnded,
    LegStarted,
    Noticed,
    TransferFailed,
    TransferStarted,
)
from sidecar.progress import apply, close, ending, is_complete, settling
from sidecar.store.calls import CallRow
from tests.fakes.control_plane import START

S = CallState


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def row(state: CallState = S.PLANNED, **changes: Any) -> CallRow:
    given: dict[str, Any] = {
        "call_id": "c1",
        "tenant_id": "default",
        "idempotency_key": "k1",
        "session_id": "s1",
        "bot_id": "desk",
        "channel": "websocket",
        "call_direction": "incoming",
        "room_name": "ws-c1",
        "planned_at": START,
        "expires_at": at(30),
        "state": state,
        **changes,
    }
    return CallRow(**given)


FACTS: list[Fact] = [
    LegStarted(at=at(1), stream_id="x"),
    LegAnswered(at=at(1)),
    ConversationStarted(at=at(1)),
    TransferStarted(at=at(1), destination="1"),
    TransferFailed(at=at(1), failed_reason="x"),
    LegEnded(at=at(1), reason=Reason.CALLER_HUNG_UP),
    AgentEnded(at=at(1), reason=Reason.BOT_ENDED),
    Noticed(at=at(1), name="x"),
]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.type)
@pytest.mark.parametrize("state", CallState)
def test_no_fact_breaks_in_any_state(state: CallState, fact: Fact) -> None:
    before = row(state)
    after = apply(before, fact)
    if state is S.ENDED:
        assert after is before


@pytest.mark.parametrize(
    ("state", "fact", "moved_to"),
    [
        (S.PLANNED, LegAnswered(at=at(1)), S.ANSWERED),
        (S.RINGING, LegAnswered(at=at(1)), S.ANSWERED),
        (S.TALKING, LegAnswered(at=at(1)), S.TALKING),
        (S.ANSWERED, ConversationStarted(at=at(1)), S.TALKING),
        (S.TALKING, TransferStarted(at=at(1), destination="1"), S.TRANSFERRING),
        (S.TRANSFERRING, TransferFailed(at=at(1), failed_reason="x"), S.TALKING),
    ],
)
def test_facts_move_the_state(state: CallState, fact: Fact, moved_to: CallState) -> None:
    after = apply(row(state), fact)
    assert (after.state, after.illegal_events) == (moved_to, 0)


@pytest.mark.parametrize("state", [S.PLANNED, S.DIALLING, S.RINGING, S.ANSWERED])
def test_transfer_before_the_conversation_is_illegal_and_counted(state: CallState) -> None:
    after = apply(row(state), TransferStarted(at=at(1), destination="1"))
    assert (after.state, after.illegal_events) == (state, 1)


def test_second_answer_changes_nothing() -> None:
    answered = apply(row(), LegAnswered(at=at(1)))
    assert apply(answered, LegAnswered(at=at(5))) == answered


def test_answer_keeps_the_slot_until_after_the_cap() -> None:
    assert apply(row(max_call_duration_s=100), LegAnswered(at=at(1))).expires_at == at(161)


def test_stream_named_empty_keeps_the_one_known() -> None:
    assert apply(row(stream_id="s9"), LegStarted(at=at(1), stream_id="")).stream_id == "s9"


def test_earliest_ending_wins() -> None:
    late = ending(row(), Reason.BOT_ENDED, at(5))
    early = ending(late, Reason.CALLER_HUNG_UP, at(4), "gone")
    assert (early.end_reason, early.end_at, early.end_detail) == (
        Reason.CALLER_HUNG_UP,
        at(4),
        "gone",
    )
    assert ending(early, Reason.MAX_DURATION, at(4)) is early


@pytest.mark.parametrize(
    ("leg", "agent", "worker", "complete"),
    [
        (True, True, "w1", True),
        (True, False, "w1", False),
        (False, True, "w1", False),
        (True, False, None, True),
        (False, False, None, False),
    ],
)
def test_call_is_complete_when_nobody_is_left_to_tell(
    leg: bool, agent: bool, worker: str | None, complete: bool
) -> None:
    assert is_complete(row(leg_ended=leg, agent_ended=agent, worker_id=worker)) is complete


@pytest.mark.parametrize(
    ("before", "due_at"),
    [
        (row(), None),
        (row(leg_ended=True), at(5)),
        (row(agent_ended=True), at(1)),
        (row(S.TRANSFERRING, agent_ended=True), at(15)),
        (row(leg_ended=True, settle_due_at=at(2)), at(2)),
    ],
)
def test_settle_timer_starts_with_the_first_ending(
    before: CallRow, due_at: datetime | None
) -> None:
    assert settling(before, START, 5).settle_due_at == due_at


def test_close_stops_the_timers_and_condemns_the_room() -> None:
    open_row = row(S.TALKING, claim_due_at=at(1), settle_due_at=at(2), answered_at=START)
    closed = close(ending(open_row, Reason.BOT_ENDED, at(3)), at(9))
    assert closed == replace(
        open_row,
        state=S.ENDED,
        end_at=at(3),
        end_reason=Reason.BOT_ENDED,
        claim_due_at=None,
        settle_due_at=None,
        expires_at=None,
        room_due_at=at(9),
    )
    assert closed.call.duration_s == 3.0


def test_call_closed_without_a_reason_was_abandoned() -> None:
    closed = close(row(), at(9))
    assert (closed.end_reason, closed.end_at) == (Reason.ABANDONED, at(9))
