"""`python -m bench.soak`: what stays in memory after many calls.

One call after the other, a few at once, each long enough for a greeting to be heard; what every
lasting process holds is read again and again in between, when no call is up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.call import BOT, CONFIG
from bench.fleet import ROOT, new_fleet, save_bot
from bench.machine import commit, machine
from bench.usage import Reading, memory
from bridges.phone import Phone
from voicefleet.runner import Runner

OUT = ROOT / "bench" / "out"
LASTING = ("sidecar", "bridge", "agent main", "forkserver", "livekit-server")
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
    with tempfile.TemporaryDirectory(prefix="voicefleet-soak-") as folder:
        environ = {**os.environ, "CALL_STARTS_PER_S": STARTS_PER_S}
        fleet = new_fleet(Path(folder), environ)
        runner = Runner(lambda _part, _line: None, restart=False)
        try:
            await fleet.start(runner)
            await save_bot(fleet, {**CONFIG, "bot_id": BOT})
            url = f"{fleet.bridge_url}/ws/{BOT}"
            with Progress(console=console) as progress:
                bar = progress.add_task("Calls", total=calls)
                for done in range(0, calls, each):
                    await _until_quiet(fleet.sidecar_url)
                    held.append(_held(done))
                    failed += await _batch(url, min(each, calls - done), at_once)
                    progress.update(bar, completed=min(calls, done + each))
            await _until_quiet(fleet.sidecar_url)
            held.append(_held(calls))
        finally:
            await runner.stop()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "calls": calls,
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
        asyncio.timeout(60),
    ):
        while (await http.get("/health/fleet")).json()["fleet_calls"]:  # noqa: ASYNC110 - another process's news
            await asyncio.sleep(QUIET_POLL_S)


def _held(calls: int) -> dict[str, Any]:
    found = memory(psutil.Process())
    return {"calls": calls, **{role: asdict(_first(found, role)) for role in LASTING}}


def _first(found: dict[str, list[Reading]], role: str) -> Reading:
    return found.get(role, [Reading(0.0, 0.0, 0.0, 0.0)])[0]


def show(console: Console, measured: dict[str, Any]) -> None:
    """Print what each process held, and how much it grew over the second half."""
    table = Table(title=f"USS in MB · {measured['machine']} · {measured['commit']}")
    held = measured["held"]
    table.add_column("after")
    for role in LASTING:
        table.add_column(role, justify="right")
    for reading in held:
        cells = (f"{reading[role]['uss_mb']:.1f}" for role in LASTING)
        table.add_row(f"{reading['calls']} calls", *cells)
    half = held[len(held) // 2]
    calls = max(1, held[-1]["calls"] - half["calls"])
    growth = (
        f"{1000 * (held[-1][role]['uss_mb'] - half[role]['uss_mb']) / calls:.1f}"
        for role in LASTING
    )
    table.add_row("kB a call, second half", *growth)
    console.print(table)
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
    OUT.mkdir(exist_ok=True)
    (OUT / "soak.json").write_text(json.dumps(measured, indent=1) + "\n")
    show(console, measured)
    return 1 if measured["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
