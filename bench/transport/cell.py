"""One cell of the matrix: a server, two networks, two processes, and what they make of it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import psutil

from bench.machine import ROOT
from bench.transport.end import LINGER_S, WARM_UP_S, Seat, Spec
from bench.usage import Reading, read
from tests.fakes.detour import Detour
from tests.fakes.sidecar import FakeSidecar
from tests.fakes.udp_relay import Weather
from tests.integration.livekit_server import LiveKitServer, running_livekit

PLAYOUTS_MS = (60, 100)
FRAME_MS = 40
"""Of a data packet; audio that comes late is counted in these."""
LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured: which wire, how many rooms, in what weather on each of the two legs."""

    wire: str
    rooms: int
    loss: float
    jitter_s: float = 0.0
    seconds: float = 6.0
    seed: int = 1
    direct: bool = False
    """Without the networks, which are two busy programs on the same machine: no weather then."""


@dataclass(slots=True)
class Measured:
    """What came of a cell.

    Attributes:
        trips_ms: round trips; None for audio that never came back.
        gaps: by playout delay in ms, how many stretches of audio were late or lost.
        missing: by playout delay in ms, which share of all audio that was.
        cpu_percent: of one core, per room, by process.
        memory_mb: USS at the end, by process.
        others_percent: of the whole machine, what neither the three nor the network used; where it
            is large, times tell of the machine.
        crossed: what the bridge's relay counted.
    """

    cell: Cell
    trips_ms: list[float | None]
    gaps: dict[int, int]
    missing: dict[int, float]
    cpu_percent: dict[str, float]
    memory_mb: dict[str, float]
    others_percent: float
    crossed: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return everything, raw samples included."""
        return asdict(self)


async def measure(cell: Cell) -> Measured:
    """Measure one cell on a server of its own."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="voicefleet-transport-"))
        server = stack.enter_context(running_livekit(Path(folder)))
        detours = [
            await stack.enter_async_context(
                Detour(server.url, server.udp_port, seed=cell.seed * 2 + index)
            )
            for index in range(2)
        ]
        async with asyncio.timeout(LIMIT_S + cell.seconds):
            return await _measure(cell, server, detours, stack)


async def _measure(
    cell: Cell, server: LiveKitServer, detours: list[Detour], stack: AsyncExitStack
) -> Measured:
    ends = [
        await _start(_spec(cell, server, detour, echoing=echoing), stack)
        for detour, echoing in zip(detours, (False, True), strict=True)
    ]
    for end in ends:
        assert await _line(end) == "ready"
    for detour in detours:
        detour.relay.weather = Weather(loss=cell.loss, jitter_s=cell.jitter_s)
    for end in ends:
        _tell(end)
    await asyncio.sleep(WARM_UP_S)
    pids = {"bridge": ends[0].pid, "agent": ends[1].pid, "server": server.process.pid}
    processes = {role: psutil.Process(pid) for role, pid in pids.items()}
    before = {role: read(process) for role, process in processes.items()}
    busy_s = _others_busy_s(processes.values())
    await asyncio.sleep(cell.seconds)
    after = {role: read(process) for role, process in processes.items()}
    busy_s = _others_busy_s(processes.values()) - busy_s
    async with asyncio.timeout(LINGER_S + 20):
        results = [json.loads(await _line(end)) for end in ends]
    for detour in detours:
        detour.relay.weather = Weather()
    for end in ends:
        _tell(end)
        await end.wait()
    gaps, missing = _late(results)
    return Measured(
        cell,
        [trip for trips in results[0]["trips_ms"] for trip in trips],
        gaps,
        missing,
        {role: _percent(before[role], after[role], cell) for role in pids},
        {role: round(after[role].uss_mb, 1) for role in pids},
        round(100 * busy_s / cell.seconds / (os.cpu_count() or 1), 1),
        dict(detours[0].relay.up),
    )


def _others_busy_s(ours: Iterable[psutil.Process]) -> float:
    total = psutil.cpu_times()
    used = [process.cpu_times() for process in (*ours, psutil.Process())]
    return float(sum(total) - total.idle - total.iowait) - sum(t.user + t.system for t in used)


def _percent(before: Reading, after: Reading, cell: Cell) -> float:
    return round(100 * (after.cpu_s - before.cpu_s) / cell.seconds / cell.rooms, 2)


def _late(results: list[dict[str, Any]]) -> tuple[dict[int, int], dict[int, float]]:
    """Return gaps and share of audio missing, by playout delay.

    A jitter buffer of its own, which a track has, has counted them already.
    """
    if of_samples := sum(result["of_samples"] for result in results):
        gaps = sum(result["concealed_gaps"] for result in results)
        # Each end hears all of the audio once, so either end's hearing is all of it.
        share = 2 * sum(result["concealed_samples"] for result in results) / of_samples
        return dict.fromkeys(PLAYOUTS_MS, gaps), dict.fromkeys(PLAYOUTS_MS, share)
    rooms = results[0]["trips_ms"]
    total = sum(len(trips) for trips in rooms)
    counts, shares = {}, {}
    for playout_ms in PLAYOUTS_MS:
        late = [
            [trip is None or trip > min(filter(None, trips)) + playout_ms for trip in trips]
            for trips in rooms
        ]
        counts[playout_ms] = sum(is_late for room in late for is_late, _ in groupby(room))
        shares[playout_ms] = sum(map(sum, late)) / total
    return counts, shares


def _spec(cell: Cell, server: LiveKitServer, detour: Detour, *, echoing: bool) -> Spec:
    signer = FakeSidecar(server.url, server.key, server.secret)
    own, other = ("agent", "bridge") if echoing else ("bridge", "agent")
    seats = tuple(
        Seat(signer.token(f"room-{index}", f"{own}-{index}"), f"{other}-{index}")
        for index in range(cell.rooms)
    )
    url = server.url if cell.direct else detour.url
    return Spec(cell.wire, echoing, url, cell.seconds, seats)


async def _start(spec: Spec, stack: AsyncExitStack) -> Process:
    end = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.transport.end", spec.serialize(),
        cwd=ROOT, stdin=PIPE, stdout=PIPE, limit=1 << 24,
        env={**os.environ, "TOKIO_WORKER_THREADS": "1"},
    )  # fmt: skip
    stack.push_async_callback(_end, end)
    return end


async def _end(end: Process) -> None:
    if end.returncode is None:
        end.kill()
    await end.wait()


def _tell(end: Process) -> None:
    assert end.stdin is not None
    end.stdin.write(b"\n")


async def _line(end: Process) -> str:
    assert end.stdout is not None
    return (await end.stdout.readline()).decode().strip()
