"""Background work goes on, whatever happens, and ends between two turns."""

from __future__ import annotations

import asyncio

import pytest

from sidecar import supervise
from sidecar.supervise import running, supervised
from sidecar.wake import Bells, Wake


async def test_work_that_fails_goes_on() -> None:
    turns = 0
    closing = asyncio.Event()

    async def turn() -> None:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise RuntimeError("once")
        closing.set()

    async with asyncio.timeout(10):
        await supervised("work", turn, closing, restart_delay_s=0)
    assert turns == 2


async def test_closing_wakes_the_idle_and_awaits_the_busy() -> None:
    bells = Bells()
    done: list[str] = []

    async def idle() -> None:
        await Wake.wait(bells.timers.armed(), 60)
        done.append("idle")

    async def busy() -> None:
        await bells.closing.wait()
        await asyncio.sleep(0.01)
        done.append("busy")

    async with asyncio.timeout(10), running({"idle": idle, "busy": busy}, bells):
        await asyncio.sleep(0)
    assert sorted(done) == ["busy", "idle"]


async def test_turn_that_never_ends_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "DRAIN_S", 0.01)
    cancelled = False

    async def stuck() -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        finally:
            cancelled = True

    async with running({"stuck": stuck}, Bells()):
        await asyncio.sleep(0)
    assert cancelled
