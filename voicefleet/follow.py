"""One call followed on the event stream: who said what, and how it ended."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

from contracts.event import Event, EventType


class Follower:
    """Picks one call's events out of the stream.

    Attributes:
        call_id: known once the call is planned.
        answered_at: known once it is answered.
        recorded: set once the recording is stored.
    """

    def __init__(self, session_id: str, shown: Callable[[Event, float], None]) -> None:
        self.call_id = ""
        self.answered_at: datetime | None = None
        self.recorded = asyncio.Event()
        self._session_id = session_id
        self._shown = shown
        self._bot_lines: list[str] = []
        self._marked = 0
        self._heard = asyncio.Event()
        self._result: dict[str, Any] | None = None
        self._failure: Exception | None = None
        self._done = asyncio.Event()

    async def follow(self, events: AsyncIterator[Event]) -> None:
        """Take events until there are no more, or cancelled."""
        try:
            async for event in events:
                self._take(event)
        except Exception as error:
            self._failure = error
        finally:
            self._done.set()

    async def result(self) -> dict[str, Any]:
        """Wait for the call's result.

        Raises:
            ConnectionError: the stream ended before it came.
        """
        await self._done.wait()
        if self._result is None:
            raise ConnectionError("the event stream broke off") from self._failure
        return self._result

    def mark(self) -> None:
        """Let `wait_for_line` look at lines from here on only."""
        self._marked = len(self._bot_lines)

    async def wait_for_line(self, pattern: str) -> None:
        """Wait for a line of the bot, since the mark, that matches without regard to case."""
        wanted = re.compile(pattern, re.IGNORECASE)
        while not any(wanted.search(line) for line in self._bot_lines[self._marked :]):
            self._heard.clear()
            await self._heard.wait()

    def _take(self, event: Event) -> None:
        data = event.data
        if event.type is EventType.CALL_PLANNED and data.get("session_id") == self._session_id:
            self.call_id = event.subject
        if not self.call_id or event.subject != self.call_id:
            return
        match event.type:
            case EventType.NOTICE if data.get("type") == "leg_answered":
                self.answered_at = event.time
            case EventType.TRANSCRIPT if data.get("speaker") == "bot":
                self._bot_lines.append(str(data.get("text", "")))
                self._heard.set()
            case EventType.CALL_RESULT:
                self._result = data
                self._done.set()
            case EventType.RECORDING:
                self.recorded.set()
        since = event.time if self.answered_at is None else self.answered_at
        self._shown(event, (event.time - since).total_seconds())
