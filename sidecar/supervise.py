"""Keeps background work alive: an exception is logged in full and the work goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import structlog

from sidecar.wake import Bells, Wake

log = structlog.get_logger(__name__)

RESTART_DELAY_S = 1.0
DRAIN_S = 5.0

Turn = Callable[[], Awaitable[None]]
"""One round of some work: do what there is, then wait for a bell."""


async def supervised(
    name: str, turn: Turn, closing: asyncio.Event, *, restart_delay_s: float = RESTART_DELAY_S
) -> None:
    """Take one turn after another until `closing` is set."""
    while not closing.is_set():
        try:
            await turn()
        except Exception:
            log.exception("task_failed", task=name)
            await Wake.wait(closing, restart_delay_s)


@asynccontextmanager
async def running(turns: Mapping[str, Turn], bells: Bells) -> AsyncIterator[None]:
    """Run background work for as long as the block lasts, then let every turn come to its end."""
    tasks = [
        asyncio.create_task(supervised(name, turn, bells.closing), name=name)
        for name, turn in turns.items()
    ]
    try:
        yield
    finally:
        bells.close()
        _, late = await asyncio.wait(tasks, timeout=DRAIN_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
