"""Who is asked next: engines in the bot's order, and which of them are passed over for now."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from agent.failure import EnginesLost, is_hopeless, reason_of

Kind = Literal["stt", "llm", "tts"]

_LONGEST_S = 600.0
_RESTED = "rested long enough"
_AGAIN_S = 0.3
_LAST_CHANCE = 2.0
"""Nobody comes after the last one: it may take so many times longer."""
_LEAST_S = 0.5
"""Everybody is given that long, however little time is left."""


class Closing(Protocol):
    """An engine of any kind."""

    async def aclose(self) -> None: ...


E = TypeVar("E", bound=Closing)


@dataclass(frozen=True, slots=True)
class Switched:
    """One engine took another's place.

    Attributes:
        left: who failed, by name.
        taken: who is asked now; the same name where it is tried again.
        after_ms: how long the caller was kept by `left`.
    """

    kind: Kind
    left: str
    taken: str
    why: str
    after_ms: int

    @property
    def detail(self) -> dict[str, str | int]:
        """What an event says of it."""
        return {
            "kind": self.kind,
            "from": self.left,
            "to": self.taken,
            "why": self.why,
            "after_ms": self.after_ms,
        }


@dataclass(slots=True)
class Member(Generic[E]):
    """One engine and its breaker; `name` is what a bot's owner knows it by."""

    name: str
    engine: E
    failures: int = 0
    out_until: float = 0.0
    is_hopeless: bool = False

    def is_out(self, now: float) -> bool:
        """Whether it is passed over."""
        return self.is_hopeless or now < self.out_until


class LineUp(Generic[E]):
    """The engines of one kind on one call, at least one.

    Args:
        kind: of which kind they are.
        members: in the bot's order.
        cool_down_s: how long one that failed is passed over; each time anew twice as long.
        now: monotonic seconds.
    """

    def __init__(
        self,
        kind: Kind,
        members: Sequence[tuple[str, E]],
        *,
        cool_down_s: float,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.kind = kind
        self.members = [Member(name, engine) for name, engine in members]
        self._cool_down_s = cool_down_s
        self.now = now or asyncio.get_running_loop().time
        self.current = self.members[0]
        self.listener: Callable[[Switched], None] | None = None

    @property
    def engines(self) -> list[E]:
        """All of them, in the bot's order."""
        return [member.engine for member in self.members]

    @property
    def better(self) -> Member[E] | None:
        """Whoever the bot prefers to the one asked now, and is in order as far as one knows."""
        before = self.members[: self.members.index(self.current)]
        return next((each for each in before if not each.is_out(self.now())), None)

    def attempts(self, rounds: int = 1) -> Attempts[E]:
        """Return whom to ask, one after the other, until one has answered."""
        return Attempts(self, rounds)

    def failed(self, member: Member[E], error: BaseException) -> None:
        """Pass an engine over for a while; for good where it refuses to serve us."""
        member.failures += 1
        pause_s = min(_LONGEST_S, self._cool_down_s * 2.0 ** (member.failures - 1))
        member.out_until = self.now() + pause_s
        member.is_hopeless = member.is_hopeless or is_hopeless(error)

    def worked(self, member: Member[E]) -> None:
        """Trust an engine again."""
        member.failures = 0
        member.out_until = 0.0

    def take(self, member: Member[E], why: str = "", after_ms: int = 0) -> None:
        """Ask `member` from now on."""
        left, self.current = self.current, member
        if why or left is not member:
            self._tell(Switched(self.kind, left.name, member.name, why or _RESTED, after_ms))

    def stand_in(self, name: str, why: str, waited_s: float) -> None:
        """Somebody takes their place this once, who is none of them."""
        after_ms = round(1000 * waited_s)
        self._tell(Switched(self.kind, self.current.name, name, why, after_ms))

    def _tell(self, switched: Switched) -> None:
        if self.listener is not None:
            self.listener(switched)

    async def aclose(self) -> None:
        """Hang up on all of them."""
        for member in self.members:
            await member.engine.aclose()

    def order(self) -> list[Member[E]]:
        """Sound ones first, then those that rest, the least recent failure first."""
        now = self.now()
        sound = [each for each in self.members if not each.is_out(now)]
        resting = [each for each in self.members if each.is_out(now) and not each.is_hopeless]
        order = sound + sorted(resting, key=lambda each: each.out_until)
        return order or self.members[:1]


class Attempts(Generic[E]):
    """Goes through a line-up; a lone engine is asked twice.

    Args:
        line_up: whom to ask.
        rounds: how often each is asked.
    """

    def __init__(self, line_up: LineUp[E], rounds: int) -> None:
        self._line_up = line_up
        self._rounds = rounds
        self._left: list[Member[E]] = []
        self._asked: list[Member[E]] = []
        self._began = 0.0
        self._waited_s = 0.0
        self._why = ""
        self.renew()

    def __iter__(self) -> Iterator[E]:
        """Yield each engine when it is its turn.

        Raises:
            EnginesLost: all of them failed.
        """
        while self._left:
            member = self._left.pop(0)
            if self._asked and member.is_hopeless:
                continue
            self._line_up.take(member, self._why, round(1000 * self._waited_s))
            self._asked.append(member)
            self._began = self._line_up.now()
            yield member.engine
        raise EnginesLost(self._why)

    @property
    def pause_s(self) -> float:
        """How long to wait before asking: an engine that just failed is not asked at once."""
        return _AGAIN_S if self._asked.count(self._asked[-1]) > 1 else 0.0

    @property
    def lived_s(self) -> float:
        """For how long the engine asked now has been asked."""
        return self._line_up.now() - self._began

    @property
    def is_last(self) -> bool:
        """Whether nobody comes after the engine asked now."""
        return not self._left

    def patience_s(self, deadline_s: float, left_s: float = math.inf) -> float:
        """Return how long the engine asked now may take.

        Args:
            deadline_s: what each may take.
            left_s: what it and all that come after it may take together.
        """
        most_s = _LAST_CHANCE * deadline_s if self.is_last else deadline_s
        return min(most_s, max(_LEAST_S, left_s - _LEAST_S * len(self._left)))

    def fail(self, error: BaseException, waited_s: float | None = None) -> None:
        """The engine asked now has failed: the next one's turn.

        `waited_s` is how long that kept the caller; since it was asked where nothing else is said.
        """
        member = self._asked[-1]
        self._waited_s = self.lived_s if waited_s is None else waited_s
        self._line_up.failed(member, error)
        self._why = f"{type(member.engine).__name__} {reason_of(error)}"

    def succeed(self) -> None:
        """The engine asked now has answered."""
        self._line_up.worked(self._asked[-1])
        self._waited_s = 0.0
        self._why = ""

    def renew(self, *, has_failed: bool = False) -> None:
        """Ask everybody once more, whoever is to be asked first by now.

        Whoever is asked now is having its turn, unless that has failed.
        """
        order = self._line_up.order()
        self._left = order * max(self._rounds, 2 if len(order) == 1 else 1)
        self._asked = self._asked[-1:]
        if not has_failed and self._asked == self._left[:1]:
            self._left.pop(0)
