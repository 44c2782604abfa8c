"""A bell between tasks: whoever waits for new rows is woken when some may have come."""

from __future__ import annotations

import asyncio


class Wake:
    """Rings for any number of waiters, and loses no ring.

    Take `armed()` *before* looking for work and pass it to `wait`: a ring in between then ends
    the wait at once.
    """

    def __init__(self) -> None:
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """Wake everyone who armed before now."""
        self._bell.set()
        self._bell = asyncio.Event()

    def armed(self) -> asyncio.Event:
        """Return what the next ring sets."""
        return self._bell

    @staticmethod
    async def wait(armed: asyncio.Event, timeout_s: float) -> None:
        """Return at the ring, or after `timeout_s` without one."""
        try:
            async with asyncio.timeout(timeout_s):
                await armed.wait()
        except TimeoutError:
            return
