"""Tools at work: what the caller hears meanwhile, and that nothing is done twice at a time.

A request is never given up for what the caller says: it may have been done already. Where a turn of
theirs comes first, the model is told that the work goes on, and the result once it is there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog
from livekit.agents import RunContext
from livekit.agents.voice import SpeechHandle

from agent.tools import Shown, ToolFailed

log = structlog.get_logger(__name__)

GOES_ON = (
    "This is still in progress. Its result will come by itself: do not ask for it again, and do not"
    " guess it."
)
"""What the model is told where the caller's turn comes first."""
_UNSURE = "The call ended first. Whether it was done is not known."


class Meanwhile:
    """The work of a call's tools that is under way."""

    def __init__(self) -> None:
        self._works: dict[tuple[str, str], asyncio.Task[Shown]] = {}
        self._uses = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._saying: SpeechHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a tool is at work, which has a time-out of its own."""
        return self._uses > 0

    async def run(
        self,
        name: str,
        arguments: Mapping[str, Any],
        work: Callable[[], Awaitable[Shown]],
        context: RunContext[Any],
        line: str = "",
    ) -> Shown:
        """Return what comes of `work`; the very same that is under way is joined instead.

        Args:
            name: what is done.
            arguments: with what.
            work: does it.
            context: the model's use of the tool.
            line: said at once, after whatever is being said, while the work goes on.

        Raises:
            ToolFailed: nothing came of it.
        """
        use = (name, json.dumps(arguments, sort_keys=True, default=str))
        task = self._works.get(use)
        is_joined = task is not None
        if task is None:
            task = self._works[use] = asyncio.ensure_future(_done(work))
            task.add_done_callback(lambda task: self._forget(use, task))
            self._say(line, context)
        self._uses += 1
        self._idle.clear()
        try:
            result = await self._result(task, context)
        finally:
            self._uses -= 1
            if not self._uses:
                self._idle.set()
        return replace(result, detail={**result.detail, "joined": True}) if is_joined else result

    async def aclose(self) -> None:
        """Give up what is still under way, and return once that is told."""
        for task in list(self._works.values()):
            task.cancel()
        await self._idle.wait()

    async def _result(self, task: asyncio.Task[Shown], context: RunContext[Any]) -> Shown:
        await context.speech_handle.wait_if_not_interrupted([task])
        if not task.done():
            await context.update(GOES_ON, template="{message}", silent=True)
        # Others may have joined it: it is not cancelled with whoever waits for it.
        await asyncio.wait({task})
        if task.cancelled():
            raise ToolFailed(_UNSURE, "abandoned")
        return task.result()

    def _forget(self, use: tuple[str, str], task: asyncio.Task[Shown]) -> None:
        del self._works[use]
        if not task.cancelled():
            # Looked at here, in case that nobody waits for it any more.
            task.exception()

    def _say(self, line: str, context: RunContext[Any]) -> None:
        # Of tools that are called together, the caller is told to wait once.
        if not line or (self._saying is not None and not self._saying.done()):
            return
        try:
            self._saying = context.session.say(line)
        except RuntimeError:
            log.warning("line not said: the session is closing, or has no voice")


async def _done(work: Callable[[], Awaitable[Shown]]) -> Shown:
    return await work()
