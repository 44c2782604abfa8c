"""Where a turn's milliseconds go, from the stand-ins' journal beside the caller's clock. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench.peer.turn import Judged, Turn

STAGES = (
    "uplink",
    "stt final",
    "turn decided",
    "first token",
    "first text",
    "first audio",
    "downlink",
)
"""Last sound of the caller → its arrival at the recogniser → the final transcript → the request to
the model → its first token → the first text at the voice → its first audio → heard."""

MATCH_S = 0.6
"""A recogniser's end of speech belongs to the caller's last one within this."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the journal."""

    at: float
    vendor: str
    what: str
    ref: str
    turn: str


@dataclass(frozen=True, slots=True)
class Journal:
    """All the stand-ins did in a run, in order."""

    steps: tuple[Step, ...]

    @classmethod
    def read(cls, path: Path) -> Journal:
        """Read a `--log` file."""
        steps = []
        for line in path.read_text().splitlines():
            fields = json.loads(line)
            steps.append(
                Step(
                    fields["t"],
                    fields["vendor"],
                    fields["what"],
                    fields.get("ref") or "",
                    fields.get("turn") or "",
                )
            )
        return cls(tuple(sorted(steps, key=lambda step: step.at)))

    def count(self, vendor: str, what: str) -> int:
        """Return how often a vendor did something."""
        return sum((step.vendor, step.what) == (vendor, what) for step in self.steps)

    def split(self, call: Judged, turn: Turn) -> dict[str, float] | None:
        """Return a turn's stages in ms, which sum up to its mouth-to-ear; None where one lacks."""
        if turn.answered_s is None:
            return None
        answered_at = call.recording.answered_at
        spoken, heard = answered_at + turn.utterance.end_s, answered_at + turn.answered_s
        end = self._end_of_speech(spoken, turn.tone_hz)
        if end is None:
            return None
        final = self._first("stt", "final", end.at, end.ref, end.turn)
        request = self._first("llm", "request", end.at, end.ref, end.turn)
        if final is None or request is None:
            return None
        token = self._first("llm", "first_token", request.at, end.ref, end.turn)
        text = self._first("tts", "text", request.at, end.ref, end.turn)
        audio = self._first("tts", "first_audio", request.at, end.ref, end.turn)
        if token is None or text is None or audio is None or audio.at > heard + 0.05:
            return None
        marks = [spoken, end.at, final.at, request.at, token.at, text.at, audio.at, heard]
        spans = pairwise(marks)
        return dict(zip(STAGES, ((after - before) * 1000 for before, after in spans), strict=True))

    def belongs(self, call: Judged, turn: Turn) -> bool:
        """Whether the recogniser whose tone answered is the one that heard this caller then."""
        spoken = call.recording.answered_at + turn.utterance.end_s
        return self._end_of_speech(spoken, turn.tone_hz) is not None

    def _end_of_speech(self, spoken: float, tone_hz: float) -> Step | None:
        near = [
            step
            for step in self.steps
            if step.vendor == "stt"
            and step.what == "speech_end"
            and abs(step.at - spoken) < MATCH_S
            and _fits(step.ref, tone_hz)
        ]
        return min(near, key=lambda step: abs(step.at - spoken), default=None)

    def _first(self, vendor: str, what: str, after: float, ref: str, turn: str) -> Step | None:
        return next(
            (
                step
                for step in self.steps
                if step.at >= after - 0.001
                and (step.vendor, step.what, step.ref, step.turn) == (vendor, what, ref, turn)
            ),
            None,
        )


def _fits(ref: str, tone_hz: float) -> bool:
    """Whether the voice answers this reference in this tone (see the stand-ins' `tone_hz`)."""
    return abs(300 + 40 * (int(ref[1:]) % 40) - tone_hz) < 12


def medians(splits: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return each stage's median in ms."""
    gathered = list(splits)
    if not gathered:
        return {}
    middle = len(gathered) // 2
    return {stage: round(sorted(split[stage] for split in gathered)[middle], 1) for stage in STAGES}
