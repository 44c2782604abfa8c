"""Bells lose no ring."""

from __future__ import annotations

import asyncio

from sidecar.wake import Bells, Wake


async def test_ring_wakes_everyone_who_armed_before_it() -> None:
    wake = Wake()
    armed = [wake.armed(), wake.armed()]
    waiting = asyncio.gather(*(Wake.wait(bell, 60) for bell in armed))
    wake.ring()
    await asyncio.wait_for(waiting, 10)


async def test_ring_between_arming_and_waiting_is_not_lost() -> None:
    wake = Wake()
    armed = wake.armed()
    wake.ring()
    await asyncio.wait_for(Wake.wait(armed, 60), 10)


async def test_ring_before_arming_does_not_count() -> None:
    wake = Wake()
    wake.ring()
    armed = wake.armed()
    await Wake.wait(armed, 0.01)
    assert not armed.is_set()


async def test_all_bells_ring_at_the_end_of_a_call() -> None:
    bells = Bells()
    armed = [bell.armed() for bell in (bells.events, bells.timers, bells.deliveries)]
    bells.ring_all()
    assert all(bell.is_set() for bell in armed)
