"""What a call costs: processor time and memory by process, read from the operating system."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Reading:
    """One process at one moment."""

    cpu_s: float
    rss_mb: float
    pss_mb: float
    uss_mb: float


def roles(root: psutil.Process) -> dict[str, list[psutil.Process]]:
    """Return the fleet's processes below `root` by what they do."""
    found: dict[str, list[psutil.Process]] = {}
    for process in root.children(recursive=True):
        try:
            role = _role(process)
        except psutil.NoSuchProcess:
            continue
        if role:
            found.setdefault(role, []).append(process)
    return found


_PARTS = {
    "agent": "agent main",
    "bench.sip.echo_agent": "agent main",
    "bridges": "bridge",
    "bridges.sip": "sip signalling",
    "bridges.sip.media": "sip media",
    "sidecar": "sidecar",
}


def _role(process: psutil.Process) -> str:
    command = process.cmdline()
    # By its option: the program itself may be a link to a file of any name.
    if command[1:2] == ["--config"] and command[-1].endswith("livekit.yaml"):
        return "livekit-server"
    if "-m" in command[:-1]:
        return _PARTS.get(command[command.index("-m") + 1], "")
    if any("forkserver" in word for word in command):
        parent = process.parent()
        in_forkserver = parent is not None and any("forkserver" in w for w in parent.cmdline())
        return "agent job" if in_forkserver else "forkserver"
    return ""


def read(process: psutil.Process) -> Reading:
    """Return what a process has used so far and what it holds."""
    times, memory = process.cpu_times(), process.memory_full_info()
    return Reading(
        times.user + times.system,
        memory.rss / _MEGABYTE,
        memory.pss / _MEGABYTE,
        memory.uss / _MEGABYTE,
    )


class Meter:
    """Processor time between two moments, as a percentage of one core, by role as `find` has it."""

    def __init__(self, find: Callable[[], dict[str, list[psutil.Process]]]) -> None:
        self._find = find
        self._started = time.monotonic()
        self._before = self._cpu()

    def stop(self) -> dict[str, float]:
        """Return the share of a core each role used since the start."""
        elapsed_s = time.monotonic() - self._started
        used: dict[str, float] = {}
        for key, (role, cpu_s) in self._cpu().items():
            began = self._before.get(key, (role, 0.0))[1]
            used[role] = used.get(role, 0.0) + 100 * (cpu_s - began) / elapsed_s
        return {role: round(share, 2) for role, share in used.items()}

    def _cpu(self) -> dict[int, tuple[str, float]]:
        seen: dict[int, tuple[str, float]] = {}
        for role, processes in self._find().items():
            for process in processes:
                try:
                    times = process.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                seen[process.pid] = (role, times.user + times.system)
        return seen


def memory(root: psutil.Process) -> dict[str, list[Reading]]:
    """Return what every process of the fleet holds now, by role, the largest first."""
    held: dict[str, list[Reading]] = {}
    for role, processes in roles(root).items():
        readings = [read(process) for process in processes if process.is_running()]
        held[role] = sorted(readings, key=lambda reading: -reading.uss_mb)
    return held
