"""The bot's first line: made while the phone rings, said at once when it is answered."""

from __future__ import annotations

from collections.abc import Callable

from livekit.agents import AgentSession
from livekit.agents.voice import SpeechHandle

from agent.failure import why_lost
from agent.line_cache import Synthesize
from agent.prefetch import Prefetch
from agent.realtime import SAY_EXACTLY
from contracts.plan import AgentPlan


class Opening:
    """What the caller is greeted with: the opening message, or an excuse after a lost agent.

    Args:
        plan: the call.
        speak: makes audio of text.
        fail: takes why the line could not be said: without a voice the caller would be left in
            silence, and then be blamed for it.
    """

    def __init__(self, plan: AgentPlan, speak: Synthesize, fail: Callable[[str], None]) -> None:
        config = plan.config
        self._text = config.recovery_message if plan.history else config.opening_message
        self._is_spoken = not plan.text_only
        model = config.realtime if config.runtime_mode == "realtime" else None
        self._by_model = self._is_spoken and model is not None and model.opening == "model"
        self._speak = speak
        self._fail = fail
        self._audio: Prefetch | None = None

    def prepare(self) -> None:
        """Begin to make the audio: whoever answered at once is waiting for it."""
        if self._text and self._is_spoken and not self._by_model:
            self._audio = Prefetch(self._speak(self._text))

    def say(self, session: AgentSession[None]) -> None:
        """Greet."""
        if self._audio is not None:
            handle = session.say(self._text, audio=self._audio.frames())
            handle.add_done_callback(self._on_said)
        elif self._text and self._by_model:
            session.generate_reply(instructions=SAY_EXACTLY.format(line=self._text))
        elif self._text:
            session.say(self._text)

    async def aclose(self) -> None:
        """Make no more of it."""
        if self._audio is not None:
            await self._audio.aclose()

    def _on_said(self, _: SpeechHandle) -> None:
        if self._audio is not None and self._audio.error is not None:
            self._fail(why_lost(self._audio.error))
