"""What the stand-in vendors saw and did, as JSON lines that split a turn into its stages."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any, TextIO

from tests.fakes.vendors.script import Vendor

_REFERENCE = re.compile(r"\bR(\d+)\s*T(\d+)\b")


@dataclass(frozen=True, slots=True)
class Reference:
    """Which STT connection and which of its turns a text belongs to."""

    connection: int
    turn: int

    def __str__(self) -> str:
        return f"R{self.connection}T{self.turn}"


def references_in(text: str) -> list[Reference]:
    """Return the references in `text`, each once, in order."""
    found = [Reference(int(ref), int(turn)) for ref, turn in _REFERENCE.findall(text)]
    return list(dict.fromkeys(found))


@dataclass(slots=True)
class Request:
    """A connection or request as it came in."""

    vendor: Vendor
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    """JSON messages that followed on a WebSocket."""
    audio_bytes: int = 0
    audio_messages: int = 0


@dataclass(slots=True)
class Journal:
    """Steps as they happen, also written to a file; requests in full, kept in memory alone."""

    file: TextIO | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def note(
        self, vendor: Vendor, what: str, reference: Reference | None = None, **more: Any
    ) -> None:
        """Record that `what` happened now."""
        self.step(vendor, what, reference, time.time(), **more)

    def step(
        self, vendor: Vendor, what: str, reference: Reference | None, at: float, **more: Any
    ) -> None:
        """Record that `what` happened at `at`, in seconds since the epoch."""
        line = {
            "t": round(at, 4),
            "vendor": str(vendor),
            "ref": f"R{reference.connection}" if reference else None,
            "turn": f"T{reference.turn}" if reference else None,
            "what": what,
            **more,
        }
        self.steps.append(line)
        if self.file is not None:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()

    def of(self, vendor: Vendor) -> list[Request]:
        """Return the requests one vendor got, oldest first."""
        return [request for request in self.requests if request.vendor is vendor]
