"""The call's state table, as data: which event is legal when, which is merely late, nothing else.

Two rules: every transition lives in `TRANSITIONS`, and this file does not know which door a call
came through.
The sidecar applies it; everyone may read it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from contracts.outcome import Outcome


class CallState(StrEnum):
    """Where a call stands. `ENDED` is the only terminal state; why it ended is `Call.outcome`."""

    PLANNED = "planned"
    DIALLING = "dialling"
    RINGING = "ringing"
    ANSWERED = "answered"
    TALKING = "talking"
    TRANSFERRING = "transferring"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Dialled:
    """We sent the call towards a phone."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Ringing:
    """The far phone rings."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """Somebody picked up; from now on the bot may speak and the call has a duration."""

    at: datetime


@dataclass(frozen=True, slots=True)
class ConversationStarted:
    """The agent is ready and the call is answered."""

    at: datetime


@dataclass(frozen=True, slots=True)
class TransferStarted:
    """The bot began to hand the caller to another number."""

    at: datetime


@dataclass(frozen=True, slots=True)
class TransferFailed:
    """The hand-over did not come about; the bot goes on."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over."""

    at: datetime
    outcome: Outcome


CallEvent = (
    Dialled | Ringing | Answered | ConversationStarted | TransferStarted | TransferFailed | Ended
)

_S = CallState
TRANSITIONS: dict[CallState, dict[type[CallEvent], CallState]] = {
    _S.PLANNED: {
        Dialled: _S.DIALLING,
        Ringing: _S.RINGING,
        Answered: _S.ANSWERED,
        Ended: _S.ENDED,
    },
    _S.DIALLING: {Ringing: _S.RINGING, Answered: _S.ANSWERED, Ended: _S.ENDED},
    _S.RINGING: {Answered: _S.ANSWERED, Ended: _S.ENDED},
    _S.ANSWERED: {ConversationStarted: _S.TALKING, Ended: _S.ENDED},
    _S.TALKING: {TransferStarted: _S.TRANSFERRING, Ended: _S.ENDED},
    _S.TRANSFERRING: {TransferFailed: _S.TALKING, Ended: _S.ENDED},
    _S.ENDED: {},
}

_ANY: frozenset[type[CallEvent]] = frozenset(
    {Dialled, Ringing, Answered, ConversationStarted, TransferStarted, TransferFailed, Ended}
)
LATE: dict[CallState, frozenset[type[CallEvent]]] = {
    _S.PLANNED: frozenset(),
    _S.DIALLING: frozenset({Dialled}),
    _S.RINGING: frozenset({Dialled, Ringing}),
    _S.ANSWERED: frozenset({Dialled, Ringing, Answered}),
    # A replaced agent starts its conversation anew; carriers repeat themselves.
    _S.TALKING: frozenset({Dialled, Ringing, Answered, ConversationStarted, TransferFailed}),
    _S.TRANSFERRING: frozenset({Dialled, Ringing, Answered, ConversationStarted, TransferStarted}),
    _S.ENDED: _ANY,
}
"""Per state: events that may still arrive and change nothing."""


class IllegalTransition(Exception):
    """An event that the table neither allows nor lists as late.

    Attributes:
        state: where the call stood.
        event: what arrived.
    """

    def __init__(self, state: CallState, event: CallEvent) -> None:
        super().__init__(f"{type(event).__name__} is illegal in state {state.value}")
        self.state = state
        self.event = event


@dataclass(frozen=True, slots=True)
class Call:
    """A call as far as the table is concerned: its state, and the times and ending it implies."""

    state: CallState = CallState.PLANNED
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None

    def advance(self, event: CallEvent) -> Call:
        """Return the call after `event`; the same object where the event is late.

        Raises:
            IllegalTransition: the event has no place in this state.
        """
        if type(event) in LATE[self.state]:
            return self
        state = TRANSITIONS[self.state].get(type(event))
        if state is None:
            raise IllegalTransition(self.state, event)
        if isinstance(event, Answered):
            return replace(self, state=state, answered_at=event.at)
        if isinstance(event, Ended):
            return replace(self, state=state, ended_at=event.at, outcome=event.outcome)
        return replace(self, state=state)

    @property
    def duration_s(self) -> float:
        """Seconds from answer to end; 0.0 for a call never answered or not ended."""
        if self.answered_at is None or self.ended_at is None:
            return 0.0
        return max(0.0, (self.ended_at - self.answered_at).total_seconds())
