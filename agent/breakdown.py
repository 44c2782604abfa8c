"""What becomes of a call whose engines have failed: an apology, then a human being or the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from livekit import rtc

from agent.apology import Apology
from agent.vigil import Notice
from contracts.engines import Resilience
from contracts.outcome import Reason

_REASON = "technical trouble"

Announce = Callable[[str, Sequence[rtc.AudioFrame] | None], Awaitable[None]]
"""Says a line whose audio is there already, or writes it, and returns once it was taken in."""


class Breakdown:
    """One call's. Before `begin` nobody listens yet, and it just ends.

    Args:
        resilience: the bot's.
        apology: what is said.
        announce: says it.
        is_taken_over: returns, once no transfer is under way, whether the caller is a human's.
        hand_over: hands the caller to a human, and returns why not, or ""; None: nobody is there.
        end: ends the call, and is told what was lost.
        notice: tells what happens.
    """

    def __init__(
        self,
        resilience: Resilience,
        apology: Apology,
        *,
        announce: Announce,
        is_taken_over: Callable[[], Awaitable[bool]],
        hand_over: Callable[[str], Awaitable[str]] | None,
        end: Callable[[Reason, str], None],
        notice: Notice,
    ) -> None:
        self._apology = apology
        self._announce = announce
        self._is_taken_over = is_taken_over
        self._hand_over = hand_over if resilience.when_lost == "transfer" else None
        self._end = end
        self._notice = notice
        self._preparing: asyncio.Task[None] | None = None
        self._coming: asyncio.Task[None] | None = None
        self._parts_for: Reason | None = None

    @property
    def is_here(self) -> bool:
        """Whether nobody answers the caller any more."""
        return self._coming is not None

    @property
    def is_parting(self) -> bool:
        """Whether what is said now is the call's last."""
        return self._parts_for is not None

    def begin(self) -> None:
        """Somebody listens: the apology is made ready for them."""
        self._preparing = asyncio.create_task(self._apology.prepare())

    def part(self, reason: Reason | None) -> None:
        """The call is over for this reason, whatever comes: nobody need take the caller."""
        if not self.is_here:
            self._parts_for = reason

    def come(self, why: str) -> None:
        """The engines are lost, for a reason that is told with the call's end."""
        if self._preparing is None:
            self._end(Reason.PIPELINE_FAILED, why)
        elif self._coming is None:
            self._notice("engines_lost", reason=why)
            self._coming = asyncio.create_task(self._run(why))

    async def over(self) -> None:
        """Return once nothing more becomes of it."""
        if self._coming is not None:
            await asyncio.wait({self._coming})

    async def aclose(self) -> None:
        """The call is over."""
        tasks = [task for task in (self._preparing, self._coming) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, why: str) -> None:
        try:
            if await self._is_taken_over():
                return
            frames = await self._apology.audio()
            if self._apology.text:
                await self._announce(self._apology.text, frames)
            if await self._stays():
                self._end(self._parts_for or Reason.PIPELINE_FAILED, why)
        except Exception:
            # Whatever else breaks now: no caller is left on a line that nobody serves.
            self._end(Reason.PIPELINE_FAILED, why)
            raise

    async def _stays(self) -> bool:
        """Return whether the caller is still here; where nobody is to take them, they are."""
        if self.is_parting or self._hand_over is None:
            return True
        return bool(await self._hand_over(_REASON))
