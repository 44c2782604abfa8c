"""Jobs that died, or stand still, while they served a call: noticed at once, told to the sidecar.

A job that leaves with care has reported its end, so what gives one away is its journal: nobody
holds it, and no end stands in it. One whose journal is held, but shows no beat, stands still.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from agent.settings import AgentSettings
from contracts.report import AgentEnded, LostJob, Source
from sidecar.client import (
    Journal,
    Ledger,
    Left,
    Refused,
    SidecarError,
    Spool,
    hand_in,
    is_final,
)

log = structlog.get_logger(__name__)

BEAT_S = 0.5
LOOK_S = 0.25
SILENT_S = 3.0
"""Beyond what a busy host holds a job up for."""
MAX_STEP_S = 2 * LOOK_S
"""The most that one look counts for: while our own loop stood still, so may the job's."""
KILL_AFTER_S = 30.0
"""How long one that stands still may take to wake up, find itself replaced, and leave by itself."""


def spool_of(settings: AgentSettings) -> Spool:
    """Return where this worker, or a job of its, keeps what the sidecar has not got."""
    max_bytes = settings.agent_spool_mb * 1024 * 1024
    return Spool(settings.agent_spool_dir, settings.agent_worker_id, max_bytes=max_bytes)


async def beat(journal: Journal) -> None:
    """Show that this job's event loop turns, until cancelled."""
    while True:
        journal.beat()
        await asyncio.sleep(BEAT_S)


@dataclass(slots=True)
class _Pulse:
    mark: int
    silent_s: float = 0.0


@dataclass(slots=True)
class Pulses:
    """How long each job has shown no beat: pure, the marks and the time are passed in.

    A mark is anything that changes with each beat. It is compared with itself alone, so that a
    clock that is set makes nobody look dead.
    """

    _pulses: dict[Path, _Pulse] = field(default_factory=dict)
    _looked_at_s: float | None = None

    def look(self, marks: Mapping[Path, int], now_s: float) -> dict[Path, float]:
        """Return for how long each has been silent, in seconds that this process has watched."""
        passed_s = 0.0 if self._looked_at_s is None else now_s - self._looked_at_s
        self._looked_at_s = now_s
        step_s = min(passed_s, MAX_STEP_S)
        for path, mark in marks.items():
            pulse = self._pulses.get(path)
            if pulse is None or pulse.mark != mark:
                self._pulses[path] = _Pulse(mark)
            else:
                pulse.silent_s += step_s
        self._pulses = {path: self._pulses[path] for path in marks}
        return {path: pulse.silent_s for path, pulse in self._pulses.items()}


class Losses:
    """The jobs the sidecar is still to be told of.

    Args:
        spool: where the jobs of this worker, and of others, keep their journals.
        ledger: is given what a job that stands still has told last.
        tell: called when there is one more to tell of.
        clock: seconds that nobody sets.
        kill: ends a process for good.
    """

    def __init__(
        self,
        spool: Spool,
        ledger: Ledger,
        tell: Callable[[], None],
        *,
        clock: Callable[[], float],
        kill: Callable[[int, int], None] = os.kill,
    ) -> None:
        self._spool = spool
        self._ledger = ledger
        self._tell = tell
        self._clock = clock
        self._kill = kill
        self._pulses = Pulses()
        self._missed: set[Path] = set()
        self._killed: set[Path] = set()
        self._untold: dict[tuple[str, int], LostJob] = {}

    def untold(self) -> list[LostJob]:
        """Return those the sidecar has not confirmed."""
        return list(self._untold.values())

    def held(self) -> dict[str, int]:
        """Return the calls whose journals this worker's jobs hold: incarnation by call id."""
        keys = self._spool.journals().items()
        return {
            key.call_id: key.incarnation
            for path, key in sorted(keys, key=lambda each: each[1].incarnation)
            if key.source is Source.AGENT and self._held_by_ours(path) is not None
        }

    def told(self, lost: list[LostJob]) -> None:
        """The sidecar has heard of these."""
        for job in lost:
            self._untold.pop((job.call_id, job.incarnation), None)

    def on_done(self, left: Left, is_taken: bool) -> None:
        """A journal that nobody held is out of the way: its job has left, or it has died."""
        has_ended = any(isinstance(fact, AgentEnded) for fact in left.facts)
        if left.key.source is Source.AGENT and is_taken and not has_ended:
            self._add(left, "its process died")

    async def run(self) -> None:
        """Look for jobs that stand still, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Exception:
                log.exception("look_failed")

    async def look(self) -> None:
        """Look once."""
        silent = self._pulses.look(self._marks(), self._clock())
        still = {path for path, silent_s in silent.items() if silent_s > SILENT_S}
        self._missed &= still
        self._killed &= still
        for path in still - self._missed:
            await self._miss(path)
        for path in still - self._killed:
            if silent[path] > KILL_AFTER_S:
                self._end(path)

    def _marks(self) -> dict[Path, int]:
        marks = {}
        for path, key in self._spool.journals().items():
            if key.source is Source.AGENT:
                try:
                    marks[path] = path.stat().st_mtime_ns
                except FileNotFoundError:
                    continue
        return marks

    async def _miss(self, path: Path) -> None:
        left = self._held_by_ours(path)
        if left is None:
            return
        try:
            # First what it told last: afterwards it is nobody's word any more.
            await hand_in(self._ledger, left)
        except SidecarError as error:
            if not isinstance(error, Refused) or not is_final(error):
                return  # at the next look again
            log.info("job_stands_still", call_id=left.key.call_id, code=error.code)
        else:
            self._add(left, "its process stands still")
        self._missed.add(path)

    def _end(self, path: Path) -> None:
        left = self._held_by_ours(path)
        if left is None:
            return
        self._killed.add(path)
        # Whoever wrote the journal holds it still, so the process is no other by that number.
        log.warning("job_killed", call_id=left.key.call_id, pid=left.pid)
        try:
            self._kill(left.pid, signal.SIGKILL)
        except OSError as error:
            log.error("job_not_killed", pid=left.pid, error=error.strerror)

    def _held_by_ours(self, path: Path) -> Left | None:
        seen = self._spool.look_into(path)
        if seen is None:
            return None
        left, is_held = seen
        # What nobody holds is the adopter's affair, what others' jobs hold their worker's.
        return left if is_held and left.pid and left.owner == self._spool.owner else None

    def _add(self, left: Left, detail: str) -> None:
        key = left.key
        log.warning("job_lost", call_id=key.call_id, incarnation=key.incarnation, detail=detail)
        self._untold[key.call_id, key.incarnation] = LostJob(
            call_id=key.call_id, incarnation=key.incarnation, detail=detail
        )
        self._tell()
