"""A leg that does as the test says: it ends, hangs or fails on demand, and writes a diary."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from bridges.ending import Ending
from bridges.leg import Emit, LegEvent
from contracts.outcome import Reason

AT = datetime(2026, 6, 5, 10, 0, tzinfo=UTC)


class FakeLeg:
    """Stands in for any `bridges.leg.Leg`.

    Attributes:
        diary: what was done to the leg, in order; legs of one call may share it.
        accepted: what the other side told.
        hangs_in: the step (`hang_up` or `close`) that never ends.
        fails_in: the step that raises.
        running: set once `run` has begun.
    """

    def __init__(self, name: str, diary: list[str] | None = None) -> None:
        self.name = name
        self.diary = diary if diary is not None else []
        self.accepted: list[LegEvent] = []
        self.hangs_in = ""
        self.fails_in = ""
        self.running = asyncio.Event()
        self.ending: Ending | None = None
        self._emit: Emit | None = None
        self._over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._news = asyncio.Event()

    async def took(self, event: LegEvent) -> None:
        """Wait until the other side has told this."""
        async with asyncio.timeout(5):
            while event not in self.accepted:
                self._news.clear()
                await self._news.wait()

    def tell(self, event: LegEvent) -> None:
        """Tell the other side something."""
        assert self._emit is not None
        self._emit(event)

    def end(self, reason: Reason, at: datetime = AT) -> None:
        """End this side of the call."""
        self._over.set_result(Ending(reason, at))

    def fail(self) -> None:
        """Let `run` raise, as a bug would."""
        self._over.set_exception(RuntimeError("a bug"))

    async def run(self, emit: Emit) -> Ending:
        self._emit = emit
        self.running.set()
        try:
            return await self._over
        finally:
            self.diary.append(f"{self.name} stopped")

    def accept(self, event: LegEvent) -> None:
        self.accepted.append(event)
        self._news.set()

    async def hang_up(self, ending: Ending) -> None:
        self.ending = ending
        await self._step("hang_up")

    async def close(self) -> None:
        await self._step("close")

    def stats(self) -> dict[str, Any]:
        return {f"{self.name}_frames": 7}

    async def _step(self, step: str) -> None:
        self.diary.append(f"{self.name} {step}")
        if step == self.hangs_in:
            await asyncio.Event().wait()
        if step == self.fails_in:
            raise RuntimeError("a bug")
