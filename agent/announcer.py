"""Says lines that a caller is to hear whole, such as the goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from livekit import rtc
from livekit.agents import AgentSession
from livekit.agents.types import NOT_GIVEN
from livekit.agents.voice import SpeechHandle

from agent.apology import played
from agent.ending import Ending
from agent.speaking import speech_id
from agent.telephone import Telephone

log = structlog.get_logger(__name__)

_LONGEST_S = 15.0
"""No line is waited for longer than this."""


class Announcer:
    """Waits until the caller is there and the line was heard, and no longer than for the end."""

    def __init__(self, session: AgentSession[None], ending: asyncio.Future[Ending]) -> None:
        self._session = session
        self._ending = ending

    async def say(
        self, text: str, phone: Telephone, audio: Sequence[rtc.AudioFrame] | None = None
    ) -> None:
        """Say a line that cannot be interrupted, and return once it was heard.

        Args:
            text: the line.
            phone: whose caller is to hear it.
            audio: it, where it was made before; empty: it cannot be said.
        """
        if not text or (audio is not None and not audio):
            return
        await self.unless_ended(asyncio.ensure_future(phone.back()))
        if phone.is_away or self._ending.done():
            return
        try:
            # Not the session's own `interrupt`: it would cancel the tool that may be waiting here.
            # Nor the speech whose tool it is: that would cancel it, too.
            current = self._session.current_speech
            if current is not None and current.id != speech_id():
                current.interrupt(force=True)
            frames = NOT_GIVEN if audio is None else played(audio)
            handle: SpeechHandle = self._session.say(text, audio=frames, allow_interruptions=False)
        except RuntimeError:
            log.warning("line not said: the session is closing")
            return
        while not handle.done() and not self._ending.done():
            waiting = asyncio.ensure_future(handle.wait_for_playout())
            await self.unless_ended(waiting, timeout_s=_LONGEST_S)
            if not phone.is_held:
                break
            # Nobody heard it meanwhile: it goes on when the caller is back.
            await self.unless_ended(asyncio.ensure_future(phone.back()))

    async def unless_ended(
        self, waiting: asyncio.Future[Any], timeout_s: float | None = None
    ) -> None:
        """Return when `waiting` is done or the conversation has ended."""
        both: set[asyncio.Future[Any]] = {waiting, self._ending}
        await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
