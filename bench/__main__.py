"""`python -m bench`: measure one call on a fleet of its own.

A table on screen, JSON in `bench/out`.

A benchmark is no test: it fails only where a call does not come about. Compare figures of one run
with each other, and take absolute ones with the machine they come from.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.bridge import measure_bridge
from bench.call import BOT, CONFIG, CallBench
from bench.exotel import bench_exotel
from bench.figure import Figure
from bench.fleet import new_fleet, save_bot
from bench.machine import ROOT, commit, keep, machine
from bench.split import split_figures, split_table
from voicefleet.runner import Runner


async def bench(calls: int, detector: str, console: Console) -> dict[str, Any]:
    """Run every measurement and return what `bench/out/call.json` holds."""
    with tempfile.TemporaryDirectory(prefix="voicefleet-bench-") as folder:
        fleet = new_fleet(Path(folder), os.environ)
        runner = Runner(lambda _part, _line: None, restart=False)
        try:
            with console.status("Starting a fleet …"):
                await fleet.start(runner)
            await save_bot(fleet, {**CONFIG, "bot_id": BOT, "turn": {"detector": detector}})
            calls_bench = CallBench(
                fleet.bridge_url,
                fleet.sidecar_url,
                ROOT / ".voicefleet" / "caller",
                fleet.environ["ADMIN_API_KEY"],
            )
            with console.status("Calling …") as status:
                for number in range(calls):
                    status.update(f"Conversation {number + 1} of {calls} …")
                    await calls_bench.conversation(number)
                for number in range(calls):
                    status.update(f"Answered at once, {number + 1} of {calls} …")
                    await calls_bench.at_once(number)
                status.update("Health endpoints …")
                await calls_bench.health()
                status.update("The bridge alone …")
                bridge = await measure_bridge(fleet)
        finally:
            with console.status("Ending …"):
                await runner.stop()
    samples = calls_bench.samples
    figures = [*samples.figures(), *bridge]
    return {
        "calls": calls,
        "turn_detector": detector,
        "figures": [each.to_json() for each in figures],
        "turn_split": [each.to_json() for each in split_figures(samples.turns)],
        "underruns": samples.underruns,
        "cpu_percent_of_a_core": samples.cpu_percent,
        "memory_mb": samples.memory_mb,
    }


def show_figures(console: Console, title: str, measured: dict[str, Any]) -> None:
    """Print the first table."""
    table = Table(title=f"{title} · {machine()} · {commit()}")
    for heading in ("", "n", "p50", "p95", "p99", "max", "unit"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for each in measured["figures"]:
        table.add_row(*Figure(each["name"], each["unit"], tuple(each["samples"])).row())
    console.print(table)


def show(console: Console, measured: dict[str, Any]) -> None:
    """Print the tables."""
    show_figures(console, "One call", measured)
    split = [Figure(f["name"], f["unit"], tuple(f["samples"])) for f in measured["turn_split"]]
    console.print(split_table(split))
    costs = Table(title="Cost of one call")
    for heading in ("process", "% of a core", "USS MB", "PSS MB", "RSS MB"):
        costs.add_column(heading, justify="left" if heading == "process" else "right")
    shares = measured["cpu_percent_of_a_core"]
    for role, held in measured["memory_mb"][-1].items():
        share = sorted(each.get(role, 0.0) for each in shares)[len(shares) // 2]
        first = held[0]
        costs.add_row(role, f"{share:.1f}", *(str(first[kind]) for kind in ("uss", "pss", "rss")))
    console.print(costs)
    console.print(f"Underruns heard: {measured['underruns']}")


def main() -> int:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=8, help="conversations to hold")
    parser.add_argument("--detector", choices=("v1-mini", "vad"), default="v1-mini")
    parser.add_argument("--exotel", action="store_true", help="at Exotel's door, by chunk size")
    arguments = parser.parse_args()
    console = Console()
    if arguments.exotel:
        measured = asyncio.run(bench_exotel(arguments.calls, arguments.detector, console))
        path = keep("exotel", measured)
        show_figures(console, "Exotel", measured)
        console.print(f"Underruns heard: {measured['underruns']}\nRaw samples: {path}")
        return 0
    measured = asyncio.run(bench(arguments.calls, arguments.detector, console))
    path = keep("call", measured)
    show(console, measured)
    console.print(f"Raw samples: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
