"""Several coroutines, the first to end decides: none outlives it, and no exception vanishes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def race(*runners: Coroutine[Any, Any, T] | asyncio.Future[T]) -> T:
    """Return the first result or raise the first exception, with the others cancelled and over."""
    tasks = [asyncio.ensure_future(runner) for runner in runners]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        await cancel(*tasks)


async def cancel(*tasks: asyncio.Future[T]) -> None:
    """Cancel what still runs and wait until it has ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def within(timeout_s: float, step: Awaitable[T]) -> bool:
    """Await a step for at most `timeout_s`; return whether it was done by then."""
    try:
        async with asyncio.timeout(timeout_s):
            await step
    except TimeoutError:
        return False
    return True
