"""`python -m bench.transport`: the ways audio could travel between bridge and agent, by turns.

A bridge and an echoing agent are processes of their own; a network of its own lies between each of
them and the LiveKit server. A table on screen, JSON in `bench/out`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from rich.console import Console
from rich.table import Table

from bench.figure import figure
from bench.machine import OUT, keep
from bench.transport.cell import PLAYOUTS_MS, Cell, Measured, measure
from bench.transport.end import WIRES


def cells(arguments: argparse.Namespace) -> list[Cell]:
    """Return the matrix, wires alternating."""
    if arguments.direct:
        arguments.loss, arguments.jitter_ms = [0.0], 0.0
    weathers = [(percent / 100, 0.0) for percent in arguments.loss]
    if arguments.jitter_ms:
        weathers.append((0.0, arguments.jitter_ms / 1000))
    return [
        Cell(wire, rooms, loss, jitter_s, arguments.seconds, seed, arguments.direct)
        for rooms in arguments.rooms
        for loss, jitter_s in weathers
        for seed in range(1, arguments.rounds + 1)
        for wire in arguments.wires
    ]


async def bench(matrix: list[Cell], console: Console) -> list[Measured]:
    """Measure cell by cell, and keep what there is so far."""
    results: list[Measured] = []
    with console.status("") as status:
        for number, cell in enumerate(matrix, 1):
            status.update(f"{number} of {len(matrix)}: {cell.wire}, {cell.rooms} rooms …")
            results.append(await measure(cell))
            write(results)
    return results


def write(results: list[Measured]) -> None:
    """Write every sample."""
    keep("transport", {"cells": [each.to_json() for each in results]})


def show(console: Console, results: list[Measured]) -> None:
    """Print the table."""
    table = Table(title="Round trip bridge, server, agent, server, bridge")
    table.add_column("rooms, weather, wire")
    latency = ("p50", "p95", "p99", "max ms")
    gaps = [f"{name} {ms}" for ms in PLAYOUTS_MS for name in ("gaps/min", "missing %")]
    costs = ("bridge %", "agent %", "server %", "bridge MB", "agent MB", "server MB")
    for heading in (*latency, *gaps, *costs, "others %"):
        table.add_column(heading, justify="right")
    for each in results:
        cell = each.cell
        trips = figure("", "ms", [trip for trip in each.trips_ms if trip is not None])
        minutes = cell.rooms * cell.seconds / 60
        heard = [
            text
            for ms in PLAYOUTS_MS
            for text in (f"{each.gaps[ms] / minutes:.1f}", f"{100 * each.missing[ms]:.2f}")
        ]
        jitter = f", jitter {1000 * cell.jitter_s:g} ms" if cell.jitter_s else ""
        table.add_row(
            f"{cell.rooms}, {100 * cell.loss:g} %{jitter}, {cell.wire}",
            *trips.row()[2:6],
            *heard,
            *(f"{share:.2f}" for share in each.cpu_percent.values()),
            *(f"{held:.0f}" for held in each.memory_mb.values()),
            f"{each.others_percent:.0f}",
        )
    console.print(table)


def main() -> int:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--wires", nargs="+", choices=tuple(WIRES), default=["reliable", "lossy", "track"]
    )
    parser.add_argument("--rooms", nargs="+", type=int, default=[1, 8, 16])
    parser.add_argument("--loss", nargs="+", type=float, default=[0, 0.5, 1, 2, 5], help="per cent")
    parser.add_argument("--jitter-ms", type=float, default=20, help="one more weather; 0: none")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--direct", action="store_true", help="no network between, no loss")
    arguments = parser.parse_args()
    console = Console(width=200) if not sys.stdout.isatty() else Console()
    results = asyncio.run(bench(cells(arguments), console))
    show(console, results)
    console.print(f"Raw samples: {OUT / 'transport.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
