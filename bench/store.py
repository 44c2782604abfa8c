"""`python -m bench.store`: what a transaction of a few statements costs on SQLite.

Our driver (`sidecar/store/sqlite.py`) beside aiosqlite as SQLAlchemy uses it, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, event, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bench.machine import commit, keep, machine
from sidecar.clock import utc_now
from sidecar.store.database import Database
from sidecar.store.tables import tenants

ROUNDS = 5
Work = Callable[[AsyncEngine], Awaitable[None]]


def plain(url: str) -> AsyncEngine:
    """Return an engine on the driver as it comes."""
    engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))

    def begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("begin" if read_only else "begin immediate")

    def prepare(connection: object, _: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]

    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", begin)
    return engine


def reading(statements: int) -> Work:
    """Return a transaction that reads a row so many times."""

    async def read(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            connection = await connection.execution_options(read_only=True)
            for _ in range(statements):
                await connection.scalar(select(tenants.c.tenant_id).limit(1))

    return read


async def writing(engine: AsyncEngine) -> None:
    """Write a row, and take it back."""
    async with engine.connect() as connection:
        row = {"tenant_id": "bench", "name": "bench", "created_at": utc_now()}
        await connection.execute(insert(tenants).values(row))
        await connection.rollback()


WORK: dict[str, Work] = {
    "reads one row": reading(1),
    "reads one row four times": reading(4),
    "writes one row, rolled back": writing,
}


async def measure(times: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return ms of CPU and of time per transaction, by work and driver: the median round."""
    samples: dict[str, dict[str, list[tuple[float, float]]]] = {}
    with tempfile.TemporaryDirectory(prefix="voicefleet-store-") as folder:
        url = f"sqlite:///{Path(folder)}/store.db"
        database = Database(url)
        await database.migrate()
        engines = {"aiosqlite": plain(url), "ours": database.engine}
        for _ in range(ROUNDS):
            for work, run in WORK.items():
                for driver, engine in engines.items():
                    cpu_s, began = time.process_time(), time.perf_counter()
                    for _ in range(times):
                        await run(engine)
                    taken = (time.process_time() - cpu_s, time.perf_counter() - began)
                    samples.setdefault(work, {}).setdefault(driver, []).append(taken)
        for engine in engines.values():
            await engine.dispose()
    return {
        work: {
            driver: {
                "cpu_ms": 1000 * median(cpu_s for cpu_s, _ in taken) / times,
                "ms": 1000 * median(wall_s for _, wall_s in taken) / times,
            }
            for driver, taken in of_work.items()
        }
        for work, of_work in samples.items()
    }


def main() -> int:
    """Measure, show and keep."""
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="transactions a round")
    given = parser.parse_args()
    found = asyncio.run(measure(given.times))
    table = Table("a transaction that", "aiosqlite: CPU ms", "ours", "ratio", "ms", "ours", "ratio")
    for work, drivers in found.items():
        theirs, ours = drivers["aiosqlite"], drivers["ours"]
        cells = [
            cell
            for kind in ("cpu_ms", "ms")
            for cell in (theirs[kind], ours[kind], ours[kind] / theirs[kind])
        ]
        table.add_row(work, *(f"{cell:.2f}" for cell in cells))
    console = Console()
    console.print(f"{commit()}, {machine()}")
    console.print(table)
    console.print(f"Samples: {keep('store', {'transactions': found})}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
