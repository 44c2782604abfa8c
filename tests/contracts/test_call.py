"""`contracts.call`: every pair of state and event is legal, late or illegal, never two."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.call import (
    LATE,
    TRANSITIONS,
    Answered,
    Call,
    CallEvent,
    CallState,
    ConversationStarted,
    Dialled,
    Ended,
    IllegalTransition,
    Ringing,
    TransferFailed,
    TransferStarted,
)
from contracts.outcome import Reason, outcome

AT = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
LATER = AT + timedelta(seconds=42.5)
EVENTS: list[type[CallEvent]] = list(get_args(CallEvent))
PAIRS = list(product(CallState, EVENTS))

LEGAL = {
    (CallState.PLANNED, Dialled): CallState.DIALLING,
    (CallState.PLANNED, Ringing): CallState.RINGING,
    (CallState.PLANNED, Answered): CallState.ANSWERED,
    (CallState.PLANNED, Ended): CallState.ENDED,
    (CallState.DIALLING, Ringing): CallState.RINGING,
    (CallState.DIALLING, Answered): CallState.ANSWERED,
    (CallState.DIALLING, Ended): CallState.ENDED,
    (CallState.RINGING, Answered): CallState.ANSWERED,
    (CallState.RINGING, Ended): CallState.ENDED,
    (CallState.ANSWERED, ConversationStarted): CallState.TALKING,
    (CallState.ANSWERED, Ended): CallState.ENDED,
    (CallState.TALKING, TransferStarted): CallState.TRANSFERRING,
    (CallState.TALKING, Ended): CallState.ENDED,
    (CallState.TRANSFERRING, TransferFailed): CallState.TALKING,
    (CallState.TRANSFERRING, Ended): CallState.ENDED,
}
ILLEGAL = {
    (CallState.PLANNED, ConversationStarted),
    (CallState.PLANNED, TransferStarted),
    (CallState.PLANNED, TransferFailed),
    (CallState.DIALLING, ConversationStarted),
    (CallState.DIALLING, TransferStarted),
    (CallState.DIALLING, TransferFailed),
    (CallState.RINGING, ConversationStarted),
    (CallState.RINGING, TransferStarted),
    (CallState.RINGING, TransferFailed),
    (CallState.ANSWERED, TransferStarted),
    (CallState.ANSWERED, TransferFailed),
}
"""Written out, so that a change of the table is a change of this test; the rest is late."""


def make(event: type[CallEvent], at: datetime = AT) -> CallEvent:
    if event is Ended:
        return Ended(at, outcome(Reason.BOT_ENDED))
    return event(at)  # type: ignore[call-arg]


def test_tables_cover_every_state() -> None:
    assert set(TRANSITIONS) == set(LATE) == set(CallState)


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_pair_is_legal_late_or_illegal_never_two(state: CallState, event: type[CallEvent]) -> None:
    legal, late = event in TRANSITIONS[state], event in LATE[state]
    assert not (legal and late)
    assert legal == ((state, event) in LEGAL)
    assert (not legal and not late) == ((state, event) in ILLEGAL)


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_advance_follows_the_table(state: CallState, event: type[CallEvent]) -> None:
    call = Call(state=state)
    if (state, event) in ILLEGAL:
        with pytest.raises(IllegalTransition, match=f"{event.__name__} .* {state.value}") as caught:
            call.advance(make(event))
        assert caught.value.state is state
        assert type(caught.value.event) is event
    elif (state, event) in LEGAL:
        assert call.advance(make(event)).state is LEGAL[state, event]
    else:
        assert call.advance(make(event)) is call


def test_answer_and_end_leave_their_marks() -> None:
    call = Call().advance(Answered(AT))
    assert (call.answered_at, call.ended_at, call.outcome) == (AT, None, None)
    ended = call.advance(Ended(LATER, outcome(Reason.CALLER_HUNG_UP)))
    assert (ended.ended_at, ended.outcome) == (LATER, outcome(Reason.CALLER_HUNG_UP))
    assert ended.duration_s == 42.5


def test_second_end_changes_nothing() -> None:
    ended = Call().advance(Ended(AT, outcome(Reason.NO_AGENT)))
    assert ended.advance(Ended(LATER, outcome(Reason.BOT_ENDED))) is ended


@pytest.mark.parametrize(
    "call",
    [
        Call(),
        Call(answered_at=AT),
        Call(ended_at=AT),
        Call(answered_at=LATER, ended_at=AT),
    ],
)
def test_duration_is_zero_without_answer_or_end(call: Call) -> None:
    assert call.duration_s == 0.0


@given(st.lists(st.sampled_from(EVENTS), max_size=12))
def test_any_sequence_keeps_the_first_end(events: list[type[CallEvent]]) -> None:
    call = Call()
    for number, event in enumerate(events):
        before = call
        try:
            call = call.advance(make(event, AT + timedelta(seconds=number)))
        except IllegalTransition:
            assert call is before
        assert (call.state is CallState.ENDED) == (call.ended_at is not None)
        if before.state is CallState.ENDED:
            assert call is before
