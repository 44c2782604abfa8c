"""What a caller is told when nobody is left who could talk to them, in a voice that cannot fail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import structlog
from livekit import rtc
from livekit.agents import APIError

from agent.line_cache import Synthesize
from agent.speech.tts import HibariTTS

log = structlog.get_logger(__name__)

_AFTER_GREETING_S = 5.0
"""The greeting comes first; a line that is kept already takes the vendor no time."""
_WITHIN_S = 3.0
"""Nobody waits longer than that for an excuse."""


class Apology:
    """A line that was made while all was well.

    Args:
        text: the bot's apology; "": none.
        speak: says it in the bot's own voice, from what is kept on this host where it is; None:
            that voice cannot fail.
        is_written: whether it is read: nobody has a voice here.
    """

    def __init__(
        self, text: str, speak: Synthesize | None = None, *, is_written: bool = False
    ) -> None:
        self.text = text
        self._is_written = is_written
        self._speak = speak
        self._frames: list[rtc.AudioFrame] = []

    async def prepare(self) -> None:
        """Have it in the bot's own voice, some time into the call."""
        if self._speak is None or not self.text:
            return
        await asyncio.sleep(_AFTER_GREETING_S)
        try:
            self._frames = [frame async for frame in self._speak(self.text)]
        except APIError as error:
            log.warning("apology not kept", error=type(error).__name__)

    async def audio(self) -> Sequence[rtc.AudioFrame] | None:
        """Return it as it was kept, or in the offline voice; empty where that cannot say it.

        None where it is read.
        """
        if self._is_written:
            return None
        if not self._frames and self.text:
            with contextlib.suppress(APIError, TimeoutError):
                async with asyncio.timeout(_WITHIN_S), HibariTTS().synthesize(self.text) as line:
                    self._frames = [piece.frame async for piece in line]
        return self._frames


async def played(frames: Sequence[rtc.AudioFrame]) -> AsyncIterator[rtc.AudioFrame]:
    """Yield audio that is there already."""
    for frame in frames:
        yield frame
