"""`python -m bench.peer`: this platform and Pipecat, side by side.

The same vendors, the same caller, the same machine, one after the other.

A benchmark is no test: it fails only where calls do not come about. Let nothing else run beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

from rich.console import Console
from rich.status import Status

from bench.machine import OUT, ROOT, commit, keep, machine
from bench.peer.environment import install_peer
from bench.peer.product import Start, our_fleet, pipecat
from bench.peer.run import Case, Result, run
from bench.peer.speech import Phrasebook
from bench.peer.table import (
    OURS,
    PEER,
    costs_table,
    latency_table,
    quality_table,
    spread,
    stages_table,
    targets,
    targets_table,
)
from scripts.command import CommandFailed
from scripts.uv import UvMissing
from voicefleet.fleet import CannotStart
from voicefleet.runner import PartFailed

BUSY_LOAD = 0.7
WIDTH = 130
MANY_CALLS = 8
"""From here on the peer is also run in two processes."""


def plan(given: argparse.Namespace, starts: dict[str, Start]) -> list[Case]:
    """Return what to run, the products taking turns.

    Every number of calls with the first STT delay and the first message size; the other delays and
    sizes at one number of calls, 8 or the nearest below.
    """
    usual = max([calls for calls in given.calls if calls <= MANY_CALLS] or given.calls[:1])
    stt_ms, message_ms = given.stt[0], given.message[0]
    settings = [(calls, stt_ms, message_ms) for calls in given.calls]
    settings += [(usual, other, message_ms) for other in given.stt[1:]]
    settings += [(usual, stt_ms, other) for other in given.message[1:]]
    return [
        Case(name, start, *setting, given.caller_message, given.turns, given.config)
        for setting in settings
        for name, start in starts.items()
        if name in (OURS, PEER)
        or (setting[0] >= MANY_CALLS and setting[1:] == (stt_ms, message_ms))
    ]


async def bench(cases: Sequence[Case], console: Console) -> tuple[list[Result], list[str]]:
    """Run every case; return the results and what went wrong."""
    phrases = Phrasebook.load(ROOT / ".voicefleet" / "caller")
    results: list[Result] = []
    problems: list[str] = []
    for number, case in enumerate(cases):
        name = (
            f"{number + 1}/{len(cases)} {case.product}, calls: {case.calls},"
            f" STT final: {case.stt_final_ms} ms, messages: {case.message_ms} ms"
        )
        load = os.getloadavg()[0]
        if number == 0 and load > BUSY_LOAD:
            console.print(f"[yellow]The machine is busy (load {load:.1f}): figures will suffer.[/]")
        with console.status(name) as status:
            try:
                result = await run(case, phrases, partial(_tell, status, name))
            except (ConnectionError, TimeoutError, CannotStart, PartFailed) as error:
                problems.append(f"{name}: {type(error).__name__}: {error}")
                console.print(f"[red]{problems[-1]}[/]")
                continue
        results.append(result)
        problems += [f"{name}: {problem}" for problem in result.problems]
        (middle,) = spread(result.mouth_to_ear_ms("plain", "interrupt"), 0.5)
        console.print(
            f"{name}: mouth to ear {middle:.0f} ms, CPU {result.cpu_per_call:.1f} %/call,"
            f" model asked {result.asked} times"
        )
        _write(results, problems)
    return results, problems


def _tell(status: Status, name: str, stage: str) -> None:
    status.update(f"{name}: {stage} …")


def _write(results: Sequence[Result], problems: Sequence[str]) -> None:
    measured = {
        "problems": list(problems),
        "targets": [{**asdict(row), "ratio": row.ratio} for row in targets(results)],
        "runs": [result.to_json() for result in results],
    }
    keep("peer", measured)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.peer", description=__doc__)
    parser.add_argument("--calls", type=_numbers, default=[1, 4, 8, 16])
    parser.add_argument("--turns", type=int, default=3, help="steps of each call")
    parser.add_argument("--stt", type=_numbers, default=[150, 350], help="STT finals after, ms")
    parser.add_argument("--message", type=_numbers, default=[20, 200], help="bot audio, ms")
    parser.add_argument("--caller-message", type=int, default=20, help="caller audio, ms")
    parser.add_argument("--config", type=json.loads, default={}, help="more of our bot's, as JSON")
    parser.add_argument("--only", default="ours,pipecat,pipecat-2", help="products, by comma")
    return parser.parse_args()


def main() -> int:
    """Read the command line, measure, print and write."""
    given = _arguments()
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    wanted = given.only.split(",")
    starts: dict[str, Start] = {OURS: our_fleet} if OURS in wanted else {}
    if any(name.startswith(PEER) for name in wanted):
        try:
            with console.status("Installing the peer's own environment …"):
                python = install_peer(ROOT, os.environ)
        except (CommandFailed, UvMissing) as error:
            console.print(f"[red]The peer could not be installed.[/]\n{error}")
            return 1
        starts |= {
            name: pipecat(python, int(name.rpartition("-")[2]) if "-" in name else 1)
            for name in wanted
            if name.startswith(PEER)
        }
    results, problems = asyncio.run(bench(plan(given, starts), console))
    for table in (latency_table, quality_table, stages_table, costs_table):
        console.print(table(results))
    console.print(targets_table(targets(results)))
    console.print(f"{machine()} · {commit()} · raw samples: {OUT / 'peer.json'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
