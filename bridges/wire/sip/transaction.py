"""The four transactions of RFC 3261 section 17, as RFC 6026 corrected them, as one table.

What is not in the table happens and changes nothing: a late provisional response, a timer of a
state that is left. The file does not know which message is meant: the layer above holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from bridges.wire.sip.profile import T2_S, T4_S


class Kind(Enum):
    """Who sent what."""

    INVITE_CLIENT = auto()
    CLIENT = auto()
    INVITE_SERVER = auto()
    SERVER = auto()


class State(Enum):
    """Where a transaction stands; section 17's names."""

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    ACCEPTED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Input(Enum):
    """What happens to it: a client receives responses, a server sends them."""

    PROVISIONAL = auto()
    SUCCESS = auto()
    FAILURE = auto()
    REQUEST = auto()
    """The request again."""
    ACK = auto()
    FAULT = auto()
    """There is no way to the other side."""
    A = auto()
    B = auto()
    D = auto()
    E = auto()
    F = auto()
    G = auto()
    H = auto()
    I = auto()  # noqa: E741
    J = auto()
    K = auto()
    L = auto()
    M = auto()

    @classmethod
    def of_status(cls, status: int) -> Input:
        """Return what a response with this status is."""
        if status < 200:
            return cls.PROVISIONAL
        return cls.SUCCESS if status < 300 else cls.FAILURE


class Action(Enum):
    """What the layer above does about it."""

    SEND = auto()
    """The client's request or the server's last response, perhaps again."""
    TELL = auto()
    """Pass the response, or the ACK, on to who owns the transaction."""
    ACK = auto()
    """Acknowledge a final response other than 2xx."""
    TIME_OUT = auto()
    """Tell the owner that nothing came."""
    GIVE_UP = auto()
    """Tell the owner that nothing could be sent."""


Step = tuple[State, tuple[Action, ...]]

_FINAL_TELLS: dict[Input, Step] = {
    Input.SUCCESS: (State.COMPLETED, (Action.TELL,)),
    Input.FAILURE: (State.COMPLETED, (Action.TELL,)),
}
_FINAL_SENDS: dict[Input, Step] = {
    Input.SUCCESS: (State.COMPLETED, (Action.SEND,)),
    Input.FAILURE: (State.COMPLETED, (Action.SEND,)),
}

TRANSITIONS: dict[Kind, dict[State, dict[Input, Step]]] = {
    Kind.INVITE_CLIENT: {
        State.CALLING: {
            Input.PROVISIONAL: (State.PROCEEDING, (Action.TELL,)),
            Input.SUCCESS: (State.ACCEPTED, (Action.TELL,)),
            Input.FAILURE: (State.COMPLETED, (Action.ACK, Action.TELL)),
            Input.FAULT: (State.TERMINATED, (Action.GIVE_UP,)),
            Input.A: (State.CALLING, (Action.SEND,)),
            Input.B: (State.TERMINATED, (Action.TIME_OUT,)),
        },
        # A connection that breaks now does not matter: the response may come on another.
        State.PROCEEDING: {
            Input.PROVISIONAL: (State.PROCEEDING, (Action.TELL,)),
            Input.SUCCESS: (State.ACCEPTED, (Action.TELL,)),
            Input.FAILURE: (State.COMPLETED, (Action.ACK, Action.TELL)),
        },
        State.COMPLETED: {
            Input.FAILURE: (State.COMPLETED, (Action.ACK,)),
            Input.D: (State.TERMINATED, ()),
        },
        # Each 2xx is the owner's to acknowledge: the same one again, or another fork's.
        State.ACCEPTED: {
            Input.SUCCESS: (State.ACCEPTED, (Action.TELL,)),
            Input.M: (State.TERMINATED, ()),
        },
    },
    Kind.CLIENT: {
        State.TRYING: {
            Input.PROVISIONAL: (State.PROCEEDING, (Action.TELL,)),
            **_FINAL_TELLS,
            Input.FAULT: (State.TERMINATED, (Action.GIVE_UP,)),
            Input.E: (State.TRYING, (Action.SEND,)),
            Input.F: (State.TERMINATED, (Action.TIME_OUT,)),
        },
        State.PROCEEDING: {
            Input.PROVISIONAL: (State.PROCEEDING, (Action.TELL,)),
            **_FINAL_TELLS,
            Input.FAULT: (State.TERMINATED, (Action.GIVE_UP,)),
            Input.E: (State.PROCEEDING, (Action.SEND,)),
            Input.F: (State.TERMINATED, (Action.TIME_OUT,)),
        },
        State.COMPLETED: {Input.K: (State.TERMINATED, ())},
    },
    Kind.INVITE_SERVER: {
        State.PROCEEDING: {
            Input.REQUEST: (State.PROCEEDING, (Action.SEND,)),
            Input.PROVISIONAL: (State.PROCEEDING, (Action.SEND,)),
            Input.SUCCESS: (State.ACCEPTED, (Action.SEND,)),
            Input.FAILURE: (State.COMPLETED, (Action.SEND,)),
        },
        State.COMPLETED: {
            Input.REQUEST: (State.COMPLETED, (Action.SEND,)),
            Input.ACK: (State.CONFIRMED, (Action.TELL,)),
            Input.G: (State.COMPLETED, (Action.SEND,)),
            Input.H: (State.TERMINATED, (Action.TIME_OUT,)),
        },
        State.CONFIRMED: {Input.I: (State.TERMINATED, ())},
        # The owner sends its 2xx again until the ACK, which is no part of this transaction.
        State.ACCEPTED: {
            Input.SUCCESS: (State.ACCEPTED, (Action.SEND,)),
            Input.L: (State.TERMINATED, ()),
        },
    },
    Kind.SERVER: {
        State.TRYING: {
            Input.PROVISIONAL: (State.PROCEEDING, (Action.SEND,)),
            **_FINAL_SENDS,
        },
        State.PROCEEDING: {
            Input.REQUEST: (State.PROCEEDING, (Action.SEND,)),
            Input.PROVISIONAL: (State.PROCEEDING, (Action.SEND,)),
            **_FINAL_SENDS,
        },
        State.COMPLETED: {
            Input.REQUEST: (State.COMPLETED, (Action.SEND,)),
            Input.J: (State.TERMINATED, ()),
        },
    },
}

FIRST_STATES = {
    Kind.INVITE_CLIENT: State.CALLING,
    Kind.CLIENT: State.TRYING,
    Kind.INVITE_SERVER: State.PROCEEDING,
    Kind.SERVER: State.TRYING,
}


@dataclass(frozen=True, slots=True)
class Timer:
    """When an input comes by itself after its state was entered.

    Attributes:
        t1s: how many T1 to wait.
        seconds: how long to wait beyond that.
        is_repeat: whether it comes again and again, each time after twice the wait; it is a
            retransmission then, which a reliable transport does without.
        most_s: the longest wait it grows to.
        reliable_s: how long to wait instead where the transport is reliable.
    """

    input: Input
    t1s: float = 0.0
    seconds: float = 0.0
    is_repeat: bool = False
    most_s: float = float("inf")
    reliable_s: float | None = None


_F = Timer(Input.F, t1s=64)

TIMERS: dict[tuple[Kind, State], tuple[Timer, ...]] = {
    (Kind.INVITE_CLIENT, State.CALLING): (
        Timer(Input.A, t1s=1, is_repeat=True),
        Timer(Input.B, t1s=64),
    ),
    (Kind.INVITE_CLIENT, State.COMPLETED): (Timer(Input.D, seconds=32, reliable_s=0),),
    (Kind.INVITE_CLIENT, State.ACCEPTED): (Timer(Input.M, t1s=64),),
    (Kind.CLIENT, State.TRYING): (Timer(Input.E, t1s=1, is_repeat=True, most_s=T2_S), _F),
    (Kind.CLIENT, State.PROCEEDING): (
        Timer(Input.E, seconds=T2_S, is_repeat=True, most_s=T2_S),
        _F,
    ),
    (Kind.CLIENT, State.COMPLETED): (Timer(Input.K, seconds=T4_S, reliable_s=0),),
    (Kind.INVITE_SERVER, State.COMPLETED): (
        Timer(Input.G, t1s=1, is_repeat=True, most_s=T2_S),
        Timer(Input.H, t1s=64),
    ),
    (Kind.INVITE_SERVER, State.CONFIRMED): (Timer(Input.I, seconds=T4_S, reliable_s=0),),
    (Kind.INVITE_SERVER, State.ACCEPTED): (Timer(Input.L, t1s=64),),
    (Kind.SERVER, State.COMPLETED): (Timer(Input.J, t1s=64, reliable_s=0),),
}
"""By the state that starts them; a timer that the former state had too goes on."""


class Transaction:
    """One transaction's state and timers.

    Attributes:
        kind: which of the four.
        state: where it stands; `TERMINATED` is its end.
    """

    def __init__(self, kind: Kind, now: float, *, is_reliable: bool, t1_s: float) -> None:
        self.kind = kind
        self.is_reliable = is_reliable
        self._t1_s = t1_s
        self._running: dict[Input, tuple[float, float, Timer]] = {}
        self.state = FIRST_STATES[kind]
        self._start_timers(now)

    def advance(self, event: Input, now: float) -> tuple[Action, ...]:
        """Let something happen and return what to do about it, in order."""
        step = TRANSITIONS[self.kind].get(self.state, {}).get(event)
        if step is None:
            return ()
        state, actions = step
        if state is not self.state:
            self.state = state
            self._start_timers(now)
        return actions

    def deadline(self) -> float | None:
        """Return when the next timer is due."""
        return min((due for due, _, _ in self._running.values()), default=None)

    def pop_due(self, now: float) -> list[Input]:
        """Return the timers that are due, and set those anew that repeat."""
        fired = [event for event, (due, _, _) in self._running.items() if due <= now]
        for event in fired:
            _, wait_s, timer = self._running.pop(event)
            if timer.is_repeat:
                wait_s = min(2 * wait_s, timer.most_s)
                self._running[event] = (now + wait_s, wait_s, timer)
        return fired

    def _start_timers(self, now: float) -> None:
        former, self._running = self._running, {}
        for timer in TIMERS.get((self.kind, self.state), ()):
            if timer is _F and timer.input in former:
                self._running[timer.input] = former[timer.input]
                continue
            if timer.is_repeat and self.is_reliable:
                continue
            wait_s = timer.t1s * self._t1_s + timer.seconds
            if self.is_reliable and timer.reliable_s is not None:
                wait_s = timer.reliable_s
            self._running[timer.input] = (now + wait_s, wait_s, timer)
