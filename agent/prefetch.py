"""Audio made ahead of the moment it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from livekit import rtc


class Prefetch:
    """Pulls frames from a source at once, and gives them out when asked.

    A source that fails fails the one who asks; closing early stops the source.
    """

    def __init__(self, source: AsyncIterator[rtc.AudioFrame]) -> None:
        self._frames: asyncio.Queue[rtc.AudioFrame | None] = asyncio.Queue()
        self._pulling = asyncio.create_task(self._pull(source))

    @property
    def error(self) -> BaseException | None:
        """Why the source failed, if it did."""
        if not self._pulling.done() or self._pulling.cancelled():
            return None
        return self._pulling.exception()

    async def frames(self) -> AsyncIterator[rtc.AudioFrame]:
        """Yield every frame, waiting for those that are still being made."""
        while (frame := await self._frames.get()) is not None:
            yield frame
        await self._pulling

    async def aclose(self) -> None:
        """Stop pulling."""
        self._pulling.cancel()
        await asyncio.gather(self._pulling, return_exceptions=True)

    async def _pull(self, source: AsyncIterator[rtc.AudioFrame]) -> None:
        try:
            async for frame in source:
                self._frames.put_nowait(frame)
        finally:
            self._frames.put_nowait(None)
