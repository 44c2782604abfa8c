"""One side of a call as its other side sees it: the `Leg` protocol, and what legs tell each other.

A carrier's leg tells `Offered`, then facts (`LegStarted`, `LegAnswered` …) and what its caller was
`Heard` to say; a room's leg tells the agent's speech and commands. Neither knows the other's kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from bridges.ending import Ending
from contracts.command import HangUp, SendDigits, Transfer
from contracts.media import DownPacket, UpPacket
from contracts.plan import MediaRate
from contracts.report import (
    DigitPressed,
    LegAnswered,
    LegDialled,
    LegHeld,
    LegResumed,
    LegRinging,
    LegStarted,
    Noticed,
    TransferFailed,
    TransferSent,
)


@dataclass(frozen=True, slots=True)
class Offered:
    """A carrier offers a call; from here on it can be planned."""

    caller_id: str
    did: str
    direction: Literal["incoming", "outgoing"]
    stream_id: str
    connected_event: Mapping[str, Any]
    answered: bool = False
    """Whether the phone is answered already, so that somebody listens while the call is planned."""
    answers_at_once: bool = True
    """Whether it may come answered with its first messages, so that planning waits to see."""
    media_rate_hz: MediaRate = 8000
    """Of the carrier's audio, both ways."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The call is planned: how the carrier's side is to carry it."""

    message_ms: int
    chunk_bytes: int = 3200
    """The same at Exotel's door."""
    stream_limit_s: int = 3600
    """After how long Exotel ends a stream."""


@dataclass(frozen=True, slots=True)
class AgentReady:
    """An agent is in the room: a phone that rings may be answered."""


@dataclass(frozen=True, slots=True)
class AgentReplaced:
    """Another agent serves the call; what the former one said and did not finish is void."""


@dataclass(frozen=True, slots=True)
class Played:
    """Bot audio that went to the phone just now, as it will be heard."""

    pcm: bytes


LegFact = (
    LegStarted
    | LegDialled
    | LegRinging
    | LegAnswered
    | LegHeld
    | LegResumed
    | DigitPressed
    | TransferSent
    | TransferFailed
    | Noticed
)
LegEvent = (
    Offered
    | Planned
    | LegFact
    | UpPacket
    | Played
    | DownPacket
    | HangUp
    | Transfer
    | SendDigits
    | AgentReady
    | AgentReplaced
)
Emit = Callable[[LegEvent], None]


class Leg(Protocol):
    """One side of a call.

    `run` once; `accept` from then on, whatever the leg's state, since the other side cannot know
    it; `hang_up` and `close` once each, in this order, also after a `run` that failed or never was.
    """

    async def run(self, emit: Emit) -> Ending:
        """Carry this side, telling `emit` what happens, until it ends; return how."""
        ...

    def accept(self, event: LegEvent) -> None:
        """Take what the other side told. Never blocks; ignores what is no concern of this side."""
        ...

    async def hang_up(self, ending: Ending) -> None:
        """Tell this side that the call is over, and deliver what is still on its way to it."""
        ...

    async def close(self) -> None:
        """Let go of the connection, polite or not."""
        ...

    def stats(self) -> dict[str, Any]:
        """Return figures worth keeping with the call."""
        ...
