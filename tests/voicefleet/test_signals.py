"""`voicefleet.signals`: the first asks, the second insists."""

from __future__ import annotations

import asyncio
import os
import signal

from voicefleet.signals import ending_on_signal


async def test_first_signal_asks_and_the_next_ones_insist() -> None:
    told: list[str] = []
    received = asyncio.Semaphore(0)

    def tell(what: str) -> None:
        told.append(what)
        received.release()

    with ending_on_signal(lambda: tell("ask"), lambda: tell("insist")):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
            await asyncio.wait_for(received.acquire(), 5)
    assert told == ["ask", "insist", "insist"]


async def test_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ending_on_signal(lambda: None, lambda: None):
        pass
    assert signal.getsignal(signal.SIGTERM) == before
