"""Where a conversation stands, and what a turn of it produces: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from agent.speech.slot import Value


class Ask(Enum):
    """What kind of answer is awaited."""

    SLOT = auto()
    READ_BACK = auto()
    """Whether a slot's value, read back, is right."""
    CONFIRM = auto()
    QUESTION = auto()
    CHANGE = auto()
    """What of the things said should be changed."""
    MORE = auto()
    """Whether the caller needs anything else, outside any flow."""


@dataclass(frozen=True, slots=True)
class Open:
    """A question the caller has not answered yet."""

    kind: Ask
    step: int
    text: str
    """The question as it was asked, to ask it again."""
    slot: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A tool whose result is awaited."""

    tool: str
    step: int
    into: str
    fingerprint: str


@dataclass(slots=True)
class State:
    """A conversation so far. Never changed in place once a turn is over: turns work on a copy."""

    flow: str = ""
    fresh: bool = True
    open: Open | None = None
    waiting: Waiting | None = None
    slots: dict[str, Value] = field(default_factory=dict)
    read_back: dict[str, str] = field(default_factory=dict)
    """Slots whose value the caller confirmed, with that value."""
    partial: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    done: dict[int, str] = field(default_factory=dict)
    """Steps of the flow that are fulfilled, with a fingerprint of what they did."""
    completed: frozenset[str] = frozenset()
    attempts: dict[str, int] = field(default_factory=dict)
    misses: int = 0
    said: str = ""
    turn: int = 0
    ended: bool = False

    def copy(self) -> State:
        """Return a copy that can be changed without touching this one."""
        return replace(
            self,
            slots=dict(self.slots),
            read_back=dict(self.read_back),
            partial=dict(self.partial),
            variables=dict(self.variables),
            done=dict(self.done),
            attempts=dict(self.attempts),
        )


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool to call, by name, with its arguments."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """An intent found in what the caller said."""

    name: str
    confidence: float
    slots: dict[str, str]


@dataclass(slots=True)
class Reply:
    """What the bot does next: say something, call tools; and what it noticed."""

    lines: list[str] = field(default_factory=list)
    tools: list[ToolRequest] = field(default_factory=list)
    intents: list[Heard] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(line for line in self.lines if line)
