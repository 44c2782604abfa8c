"""`python -m tests.faults` (`make faults`): strikes a fleet under load again and again.

What strikes and when follows from the seed, which is printed; give it back with `--seed` to see the
same order once more. Ends with 1 where anything was wrong, and then keeps the parts' log.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.faults.check import Verdict, judge
from tests.faults.faults import FAULTS
from tests.faults.world import ROOT, World, running_world

LOG = ROOT / "bench" / "out" / "faults.log"


async def campaign(
    world: World, names: list[str], rounds: int, pause_s: float, console: Console
) -> dict[str, list[float]]:
    """Strike `rounds` times; return how long callers heard nothing, by fault."""
    silences_s: dict[str, list[float]] = defaultdict(list)
    for number in range(1, rounds + 1):
        await asyncio.sleep(world.random.uniform(0.5, 1.5) * pause_s)
        name = world.random.choice(names)
        struck = await FAULTS[name](world)
        again = "" if struck.resumed_s is None else f", spoken to after {struck.resumed_s:.1f} s"
        console.print(
            f"{number}/{rounds} {name}: {struck.detail}{again}"
            f" ({len(world.phones)} calls up, {len(world.answered)} so far)"
        )
        if struck.resumed_s is not None:
            silences_s[name].append(struck.resumed_s)
    return silences_s


def show(console: Console, verdict: Verdict, silences_s: dict[str, list[float]]) -> None:
    """Print what was found."""
    table = Table(title=f"{verdict.calls} calls, {verdict.resumed} taken over by another agent")
    table.add_column("ended by")
    table.add_column("calls", justify="right")
    for reason, count in verdict.endings.most_common():
        table.add_row(reason, str(count))
    console.print(table)
    for name, times in silences_s.items():
        console.print(
            f"{name}: {len(times)} times, the caller was spoken to again after"
            f" {median(times):.1f} s (worst {max(times):.1f})"
        )
    for line in verdict.wrong:
        console.print(f"[red]WRONG[/red] {line}")
    if not verdict.wrong:
        console.print("[green]Every call has exactly one final result; nothing is left.[/green]")


async def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run one campaign."""
    names = [name for name in FAULTS if arguments.only in name]
    if not names:
        console.print(f"no fault is named like {arguments.only!r}: {', '.join(FAULTS)}")
        return 2
    settings = {"DATABASE_URL": arguments.database} if arguments.database else {}
    with tempfile.TemporaryDirectory(prefix="voicefleet-faults-") as folder:
        async with running_world(
            Path(folder),
            arguments.seed,
            calls=arguments.calls,
            echo=arguments.echo,
            workers=arguments.workers,
            **settings,
        ) as world:
            callers = [
                asyncio.create_task(world.call_on(f"caller-{number}"))
                for number in range(arguments.calls)
            ]
            silences_s = await campaign(world, names, arguments.rounds, arguments.pause, console)
            world.stop_calling()
            await asyncio.gather(*callers)
            wrong = []
            try:
                await world.quiet()
            except TimeoutError:
                wrong.append("it did not become quiet")
            verdict = await judge(world)
            verdict.wrong += wrong
            LOG.parent.mkdir(exist_ok=True)
            LOG.write_text("\n".join(world.log))
    show(console, verdict, silences_s)
    console.print(f"Seed {arguments.seed}; what the parts printed: {LOG}")
    return 1 if verdict.wrong else 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1, help="agent workers")
    parser.add_argument("--pause", type=float, default=6.0, help="seconds between strikes, about")
    parser.add_argument("--only", default="", help="part of the names of the faults that strike")
    parser.add_argument("--echo", action="store_true", help="agents that only pretend to converse")
    parser.add_argument("--database", default="", help="DATABASE_URL; unset: SQLite")
    arguments = parser.parse_args()
    console = Console()
    console.print(f"Seed {arguments.seed}")
    return asyncio.run(run(arguments, console))


if __name__ == "__main__":
    sys.exit(main())
