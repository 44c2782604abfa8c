"""Keeps background tasks alive: an exception is logged in full and the task starts anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)

RESTART_DELAY_S = 1.0


async def supervised(
    name: str, work: Callable[[], Awaitable[None]], *, restart_delay_s: float = RESTART_DELAY_S
) -> None:
    """Run `work` again and again until cancelled."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("task_failed", task=name)
        else:
            log.error("task_returned", task=name)
        await asyncio.sleep(restart_delay_s)
