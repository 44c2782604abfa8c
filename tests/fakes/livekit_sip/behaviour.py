"""What phones do when they are called, and when they are asked to call somebody else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Answers:
    """Rings, if `rings`, and is picked up after `after_s`; None: never."""

    after_s: float | None = 0.2
    rings: bool = True


@dataclass(frozen=True, slots=True)
class Refuses:
    """Answers the INVITE with a final status."""

    status_code: int
    after_s: float = 0.0
    rings: bool = False


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nobody is at its address. A closed TCP port is noticed at once, a UDP port never."""

    transport: str = "udp"


class RefersTo(Enum):
    """What becomes of a REFER."""

    SUCCESS = "202, NOTIFY 200"
    BUSY = "202, NOTIFY 486"
    NOT_ALLOWED = "405"
    SILENCE = "202, no NOTIFY"
    HANGS_UP = "202, then BYE"


@dataclass(frozen=True, slots=True)
class Callee:
    """A phone behind a trunk."""

    does: Answers | Refuses | Unreachable = Answers()
    refers: RefersTo = RefersTo.SUCCESS
    refer_s: float = 0.1
    """How long it takes the carrier to say how the REFER went."""
