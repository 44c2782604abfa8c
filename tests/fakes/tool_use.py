"""A model's use of a tool outside of any session: what it is told, and what the caller hears."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from livekit.agents import llm


class FakeSpeech:
    """A line that is being said until the test says it was."""

    def __init__(self) -> None:
        self.is_over = False

    def done(self) -> bool:
        return self.is_over


class Turn:
    """The answer to a caller that a tool is used for, until they take a turn of their own."""

    def __init__(self) -> None:
        self.interruption = asyncio.Event()

    async def wait_if_not_interrupted(self, work: list[asyncio.Future[Any]]) -> None:
        interrupted = asyncio.ensure_future(self.interruption.wait())
        await asyncio.wait({*work, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        interrupted.cancel()


class Uses:
    """Tools in use, on a call of their own.

    Attributes:
        said: what the caller was told meanwhile.
        updates: what the model was told before a tool was done.
        turn: what the next use is for.
        is_closing: whether the session says nothing any more.
        use_id: what the model calls its uses, where it has one name for all.
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        self.speeches: list[FakeSpeech] = []
        self.updates: list[str] = []
        self.turn = Turn()
        self.is_closing = False
        self.use_id: str | None = None
        self._uses = 0

    def context(self) -> Any:
        """Return what a tool is used in."""
        self._uses += 1
        return SimpleNamespace(
            session=self,
            speech_handle=self.turn,
            function_call=SimpleNamespace(
                call_id=f"use{self._uses}" if self.use_id is None else self.use_id
            ),
            update=self._update,
        )

    async def use(self, tool: llm.Tool, **arguments: Any) -> Any:
        """Return what the model is told."""
        callable_tool: Any = tool
        return await callable_tool(arguments, self.context())

    def say(self, line: str) -> FakeSpeech:
        if self.is_closing:
            raise RuntimeError("the session is closing")
        self.said.append(line)
        self.speeches.append(FakeSpeech())
        return self.speeches[-1]

    async def _update(self, message: str, *, template: str, silent: bool) -> None:
        assert silent
        self.updates.append(template.format(message=message))
