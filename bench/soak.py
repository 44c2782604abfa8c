"""`python -m bench.soak`: what stays in memory after many calls.

One call after the other, a few at once, each long enough for a greeting to be heard; what every
lasting process holds is read again and again in between, when no call is up.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.call import BOT, CONFIG
from bench.fleet import new_fleet, save_bot
from bench.machine import OUT, commit, keep, machine
from bench.usage import Reading, memory, roles
from bridges.phone import Phone
from voicefleet.runner import Runner

LASTING = ("sidecar", "bridge", "agent main", "forkserver", "livekit-server")
IDLE = "idle job"
"""A warm process without a call: of the worker's jobs the one that holds least."""
NOTHING = Reading(0.0, 0.0, 0.0, 0.0)
LOG = OUT / "soak.log"
"""What the parts printed."""
TALK_S = 0.4
QUIET_POLL_S = 0.2
QUIET_TIMEOUT_S = 60.0
STARTS_PER_S = "8"
"""Faster than a deployment would let calls start: nobody listens for gaps here."""


async def soak(calls: int, at_once: int, readings: int, console: Console) -> dict[str, Any]:
    """Place the calls and return what was held before, in between and after."""
    each = max(1, calls // readings)
    held: list[dict[str, Any]] = []
    failed: Counter[str] = Counter()
    OUT.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="voicefleet-soak-") as folder,
        LOG.open("w") as said,
    ):
        environ = {**os.environ, "CALL_STARTS_PER_S": STARTS_PER_S}
        fleet = new_fleet(Path(folder), environ)
        runner = Runner(lambda part, line: said.write(f"{part}: {line}\n"), restart=False)
        try:
            await fleet.start(runner)
            await save_bot(fleet, {**CONFIG, "bot_id": BOT})
            url = f"{fleet.bridge_url}/ws/{BOT}"
            began_s = _cpu_s()
            with Progress(console=console) as progress:
                bar = progress.add_task("Calls", total=calls)
                for done in range(0, calls, each):
                    await _until_quiet(fleet.sidecar_url)
                    held.append(_held(done))
                    failed += await _batch(url, min(each, calls - done), at_once)
                    progress.update(bar, completed=min(calls, done + each))
            await _until_quiet(fleet.sidecar_url)
            held.append(_held(calls))
            cpu_s = _cpu_s() - began_s
        finally:
            await runner.stop()
    return {
        "calls": calls,
        "cpu_s_per_call": round(cpu_s / calls, 2),
        "failed": failed,
        "held": held,
    }


async def _batch(url: str, calls: int, at_once: int) -> Counter[str]:
    """Place `calls` calls and return what went wrong, and how often."""
    slots = asyncio.Semaphore(at_once)

    async def call(number: int) -> None:
        async with slots, Phone.call(url, stream_id=f"soak-{number}") as phone:
            await phone.wait_for_audio()
            await asyncio.sleep(TALK_S)

    done = await asyncio.gather(*(call(number) for number in range(calls)), return_exceptions=True)
    return Counter(f"{failure!r}" for failure in done if isinstance(failure, BaseException))


async def _until_quiet(sidecar_url: str) -> None:
    async with (
        httpx.AsyncClient(base_url=sidecar_url, trust_env=False) as http,
        asyncio.timeout(QUIET_TIMEOUT_S),
    ):
        while (await http.get("/health/fleet")).json()["fleet_calls"]:  # noqa: ASYNC110 - another process's news
            await asyncio.sleep(QUIET_POLL_S)


def _held(calls: int) -> dict[str, Any]:
    found = memory(psutil.Process())
    idle = found.get("agent job", [NOTHING])[-1]
    lasting = {role: asdict(_first(found, role)) for role in LASTING}
    return {"calls": calls, **lasting, IDLE: asdict(idle)}


def _cpu_s() -> float:
    """Return the processor time of all parts so far, jobs that are over included."""
    spent_s = 0.0
    for role, processes in roles(psutil.Process()).items():
        for process in processes:
            times = process.cpu_times()
            # A forkserver's children are its jobs; of the others', none have ended.
            ended_s = times.children_user + times.children_system if role == "forkserver" else 0.0
            spent_s += times.user + times.system + ended_s
    return spent_s


def _first(found: dict[str, list[Reading]], role: str) -> Reading:
    return found.get(role, [NOTHING])[0]


def show(console: Console, measured: dict[str, Any]) -> None:
    """Print what each process held, and how much it grew over the second half."""
    table = Table(title=f"USS in MB · {machine()} · {commit()}")
    held = measured["held"]
    table.add_column("after")
    for role in (*LASTING, IDLE):
        table.add_column(role, justify="right")
    for reading in held:
        cells = (f"{reading[role]['uss_mb']:.1f}" for role in (*LASTING, IDLE))
        table.add_row(f"{reading['calls']} calls", *cells)
    half = held[len(held) // 2]
    calls = max(1, held[-1]["calls"] - half["calls"])
    growth = (
        f"{1000 * (held[-1][role]['uss_mb'] - half[role]['uss_mb']) / calls:.1f}"
        for role in (*LASTING, IDLE)
    )
    table.add_row("kB a call, second half", *growth)
    console.print(table)
    console.print(f"Processor time a call: {measured['cpu_s_per_call']} s")
    console.print(f"{measured['calls']} calls, failed: {dict(measured['failed']) or 'none'}")


def main() -> int:
    """Read the command line, place the calls, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--readings", type=int, default=10)
    arguments = parser.parse_args()
    console = Console()
    measured = asyncio.run(soak(arguments.calls, arguments.at_once, arguments.readings, console))
    path = keep("soak", measured)
    show(console, measured)
    console.print(f"Raw samples: {path}; what the parts printed: {LOG}")
    return 1 if measured["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
