"""Real phones with a voice before a real `livekit-sip`: a `baresip` each, as the double's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.fakes.baresip import Baresip, baresip
from tests.fakes.livekit_sip.behaviour import Answers

_LONGEST_S = 120.0


class Voice:
    """A phone whose user speaks and listens.

    Attributes:
        answered: set once the call is.
        ended: set once it is over.
        call_id: the service's own name of its call, where somebody has told.
    """

    def __init__(self, phone: Baresip) -> None:
        self.phone = phone
        self.call_id = ""
        self.answered = asyncio.Event()
        self.ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._begin(self._see("CALL_ESTABLISHED", self.answered))
        self._begin(self._see("CALL_CLOSED", self.ended))

    @property
    def is_active(self) -> bool:
        """Whether the call has been answered."""
        return self.answered.is_set()

    def say(self, pcm: bytes) -> None:
        """Speak: 16 bit, 8 kHz, mono."""
        self._begin(self.phone.say(pcm))

    def heard(self) -> bytes:
        """Return all that was heard since the answer: 16 bit, 8 kHz, mono."""
        return self.phone.heard()

    async def hang_up(self) -> None:
        """Say goodbye (BYE)."""
        await self.phone.hang_up()

    def picks_up(self, does: Answers) -> None:
        """Be called: ring, and answer after a while."""
        self._begin(self._pick_up(does))

    async def aclose(self) -> None:
        """Look after the phone no longer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _see(self, kind: str, seen: asyncio.Event) -> None:
        await self.phone.saw(kind, timeout_s=_LONGEST_S)
        seen.set()

    async def _pick_up(self, does: Answers) -> None:
        await self.phone.saw("CALL_INCOMING", timeout_s=_LONGEST_S)
        if does.after_s is not None:
            await asyncio.sleep(does.after_s)
            await self.phone.accept()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def voice(folder: Path, number: str) -> AsyncIterator[Voice]:
    """Run a phone of this number."""
    async with baresip(folder, user=number) as phone:
        held = Voice(phone)
        try:
            yield held
        finally:
            await held.aclose()
