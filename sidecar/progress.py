"""How a reported fact moves a call: pure, by the state table and the rules of ending."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from contracts import call as table
from contracts.call import CallEvent, CallState, IllegalTransition
from contracts.outcome import Reason, outcome
from contracts.report import (
    AgentEnded,
    ConversationStarted,
    Fact,
    HandedOff,
    LegAnswered,
    LegDialled,
    LegEnded,
    LegRinging,
    LegStarted,
    TransferFailed,
    TransferStarted,
)
from sidecar.store.calls import UNANSWERED, CallRow

LEG_SETTLE_S = 1.0
"""How long a call whose agent has left waits for the phone's side of the story."""

TRANSFER_SETTLE_S = 15.0
"""The same while a transfer is under way: carriers take up to ten seconds to close."""

LISTENING = timedelta(seconds=1)
"""How long somebody who listens already waits for what the bot's CRM answers."""

OVERTIME_S = 60.0
"""How long past its duration cap an answered call keeps its slot, should both sides have died."""


MAX_ROOM_S = 14_400.0
"""How long a room may last, where the operator has set nothing else."""


def apply(row: CallRow, fact: Fact, *, max_room_s: float = MAX_ROOM_S) -> CallRow:
    """Return the call after `fact`. After the end nothing moves any more but the room's."""
    if row.is_ended:
        return _after_the_end(row, fact)
    match fact:
        case LegStarted():
            return replace(row, stream_id=fact.stream_id or row.stream_id)
        case LegDialled():
            return _advance(row, table.Dialled(fact.at))
        case LegRinging():
            return _advance(row, table.Ringing(fact.at))
        case LegAnswered():
            return _answered(row, fact, max_room_s)
        case ConversationStarted() if row.state in UNANSWERED and row.media == "tracks":
            # No bridge tells of the answer: the agent has seen it, or it would not talk.
            row = _answered(row, LegAnswered(at=fact.at), max_room_s)
            return _advance(row, table.ConversationStarted(fact.at))
        case ConversationStarted() if row.state in UNANSWERED:
            # The agent's report overtook the bridge's: it counts from the answer on.
            return replace(row, conversation_at=fact.at)
        case ConversationStarted():
            return _advance(row, table.ConversationStarted(fact.at))
        case TransferStarted():
            return _advance(row, table.TransferStarted(fact.at))
        case TransferFailed():
            return _advance(row, table.TransferFailed(fact.at))
        case HandedOff():
            # From here on a person talks: the bot's own cap is no concern of theirs.
            until = row.planned_at + timedelta(seconds=max_room_s)
            return replace(row, handed_off_at=fact.at, expires_at=until)
        case LegEnded():
            return ending(replace(row, leg_ended=True), fact.reason, fact.at, fact.detail)
        case AgentEnded():
            return ending(replace(row, agent_ended=True), fact.reason, fact.at, fact.detail)
        case _:
            return row


def ending(row: CallRow, reason: Reason, at: datetime, detail: str = "") -> CallRow:
    """Return the call with this ending noted; the earliest one wins."""
    if row.end_at is not None and row.end_at <= at:
        return row
    return replace(row, end_at=at, end_reason=reason, end_detail=detail)


def is_complete(row: CallRow) -> bool:
    """Return whether everyone who could still tell how the call ended has done so."""
    if row.handed_off_at is not None and row.agent_ended:
        return True
    return row.leg_ended and (row.agent_ended or row.worker_id is None)


def settling(row: CallRow, now: datetime, settle_s: float) -> CallRow:
    """Return the call with its settle timer set, if one side has ended and the other has not."""
    if row.is_ended or row.settle_due_at is not None or not (row.leg_ended or row.agent_ended):
        return row
    if row.agent_ended:
        in_transfer = row.state is CallState.TRANSFERRING
        settle_s = TRANSFER_SETTLE_S if in_transfer else LEG_SETTLE_S
    return replace(row, settle_due_at=now + timedelta(seconds=settle_s))


def close(row: CallRow, now: datetime) -> CallRow:
    """Return the call ended, its timers stopped and its room due for deletion.

    The room of one that a person has taken over lasts until the phone is gone, or its time is up.
    """
    is_with_person = row.handed_off_at is not None and not row.leg_ended
    reason, at = row.end_reason or Reason.ABANDONED, row.end_at or now
    ended = row.call.advance(table.Ended(at, outcome(reason)))
    return replace(
        row,
        state=ended.state,
        end_at=at,
        end_reason=reason,
        claim_due_at=None,
        settle_due_at=None,
        expires_at=None,
        room_due_at=(row.expires_at or now) if is_with_person else now,
    )


def _after_the_end(row: CallRow, fact: Fact) -> CallRow:
    if isinstance(fact, LegEnded) and row.handed_off_at is not None and not row.leg_ended:
        due_at = row.room_due_at and fact.at
        return replace(row, leg_ended=True, room_due_at=due_at)
    return row


def _answered(row: CallRow, fact: LegAnswered, max_room_s: float) -> CallRow:
    row = _advance(row, table.Answered(fact.at))
    if row.answered_at == fact.at:
        latest = fact.at + timedelta(seconds=row.max_call_duration_s + OVERTIME_S)
        until = min(latest, row.planned_at + timedelta(seconds=max_room_s))
        row = replace(row, expires_at=until)
        if row.prefetch_due_at is not None:
            due_at = min(row.prefetch_due_at, fact.at + LISTENING)
            row = replace(row, prefetch_due_at=due_at)
    if row.state is CallState.ANSWERED and row.conversation_at is not None:
        row = _advance(row, table.ConversationStarted(row.conversation_at))
    return row


def _advance(row: CallRow, event: CallEvent) -> CallRow:
    try:
        call = row.call.advance(event)
    except IllegalTransition:
        # Kept as a fact all the same: the reporter cannot mend our table.
        return replace(row, illegal_events=row.illegal_events + 1)
    return replace(row, state=call.state, answered_at=call.answered_at)
