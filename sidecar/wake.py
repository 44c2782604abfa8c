"""Bells between tasks: whoever waits for new rows is woken when some may have come."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


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


@dataclass(frozen=True, slots=True)
class Bells:
    """One bell per kind of work, so that busy calls wake no more than they must."""

    events: Wake = field(default_factory=Wake)
    timers: Wake = field(default_factory=Wake)
    deliveries: Wake = field(default_factory=Wake)
    standbys: Wake = field(default_factory=Wake)
    dials: Wake = field(default_factory=Wake)
    queue: Wake = field(default_factory=Wake)
    trunks: Wake = field(default_factory=Wake)
    """Trunks or numbers have changed."""
    parting: asyncio.Event = field(default_factory=asyncio.Event)
    """The process was told to end: requests held open are to be answered."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def ring_all(self) -> None:
        """A call has ended: there are events, a room to delete and a result to deliver."""
        for bell in (self.events, self.timers, self.deliveries):
            bell.ring()

    def part(self) -> None:
        """Let requests that are held open come to their end."""
        self.parting.set()
        self.standbys.ring()
        self.dials.ring()

    def close(self) -> None:
        """Tell everybody that the process is about to end."""
        self.part()
        self.closing.set()
        self.queue.ring()
        self.trunks.ring()
        self.ring_all()
