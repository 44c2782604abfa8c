"""Waits into the silences of a call, and says when one has lasted long enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from agent.manners.silence import GiveUp, Prompt, SilencePolicy


class Patience:
    """A `SilencePolicy` with a clock.

    Args:
        policy: what silence leads to.
        is_quiet: whether neither side speaks now, and that counts as silence.
    """

    def __init__(self, policy: SilencePolicy, is_quiet: Callable[[], bool]) -> None:
        self._policy = policy
        self._is_quiet = is_quiet
        self._now = asyncio.get_running_loop().time
        self._stirred = asyncio.Event()

    def weigh(self) -> None:
        """Look again whether anybody speaks."""
        if self._is_quiet():
            self._policy.quiet(self._now())
        else:
            self._policy.busy()
        self._stirred.set()

    def restart(self) -> None:
        """Let silence count anew from here."""
        self._policy.busy()
        self.weigh()

    def heard_caller(self) -> None:
        """The caller said or pressed something."""
        self._policy.heard_caller()

    async def long_silences(self) -> AsyncIterator[Prompt | GiveUp]:
        """Yield what to do about each silence that lasts too long, for ever."""
        while True:
            deadline = self._policy.deadline()
            wait_s = None if deadline is None else max(0.0, deadline - self._now())
            try:
                async with asyncio.timeout(wait_s):
                    await self._stirred.wait()
                    self._stirred.clear()
                    continue
            except TimeoutError:
                pass
            due = self._policy.expire(self._now())
            if due is not None:
                yield due
