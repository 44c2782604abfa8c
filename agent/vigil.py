"""Watches a session's engines, and ends a call that they cannot carry on.

A caller must never be left talking to nobody: an engine that fails again and again, hears nothing
or never answers ends the call with that as its reason.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from livekit.agents import AgentSession, llm
from livekit.agents.voice.events import (
    AgentStateChangedEvent,
    CloseEvent,
    ConversationItemAddedEvent,
    ErrorEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
    UserTranscriptionTimeoutEvent,
)

from agent.failure import FailureLog, fatal
from agent.unheard import Unheard

log = structlog.get_logger(__name__)

DEAF = "the caller spoke, and the STT answered nothing"
_UNANSWERED_S = 20.0
"""No caller is kept waiting longer for an answer, however often they ask again."""
_LAST_CHANCE_S = 2.5
"""So long words may take after the last utterance that the STT is given."""
_ATTEMPTS = 2.5
"""Two, and what it takes to begin the second."""


class Notice(Protocol):
    """Tells something worth showing."""

    def __call__(self, name: str, **detail: Any) -> None: ...


class Vigil:
    """Follows one session until `close`; calls `fail` with the reason for the first thing.

    Nobody waits for an answer while it `is_excused`. A model that is given `answer_s`, and then
    asked anew, is waited for so long.
    """

    def __init__(
        self,
        session: AgentSession[None],
        fail: Callable[[str], None],
        notice: Notice,
        *,
        is_excused: Callable[[], bool] = lambda: False,
        answer_s: float = 0.0,
    ) -> None:
        self._is_excused = is_excused
        self._unanswered_s = max(_UNANSWERED_S, _ATTEMPTS * answer_s)
        self._session = session
        self._fail = fail
        self._notice = notice
        self._loop = asyncio.get_running_loop()
        self._unheard = Unheard()
        self._failures = FailureLog()
        self._overdue: asyncio.TimerHandle | None = None
        self._unworded: asyncio.TimerHandle | None = None
        self._voice_began: float | None = None
        self._voice_ended = -math.inf
        session.on("error", self._on_error)
        session.on("close", self._on_close)
        session.on("user_transcription_timeout", self._on_untranscribed)
        session.on("user_input_transcribed", self._on_transcribed)
        session.on("user_state_changed", self._on_user_state)
        session.on("conversation_item_added", self._on_item)
        session.on("agent_state_changed", self._on_agent_state)

    @property
    def is_deaf(self) -> bool:
        """Whether somebody must have spoken, though no word came."""
        return self._unheard.is_suspicious

    def heard(self) -> None:
        """Words came: the STT hears."""
        self._unheard.heard()
        self._await_words(False)

    def took(self, text: str) -> None:
        """The STT takes what it heard for this; perhaps for no words."""
        if text.strip():
            self.heard()
        else:
            self._unheard.listened()

    def close(self) -> None:
        """Wait for nothing any more."""
        self._await_words(False)
        self._answered()

    def _on_error(self, event: ErrorEvent) -> None:
        source = type(event.source).__name__
        recoverable = bool(getattr(event.error, "recoverable", False))
        log.warning("service error", source=source, recoverable=recoverable)
        self._notice("service_error", source=source, recoverable=recoverable)
        if (why := fatal(event.error, source)) is not None:
            self._fail(why)
        elif not recoverable and self._failures.add(self._loop.time()):
            self._fail(f"{source} failed again and again")

    def _on_close(self, event: CloseEvent) -> None:
        if event.error is not None:
            self._fail(type(event.error).__name__)

    def _on_untranscribed(self, event: UserTranscriptionTimeoutEvent) -> None:
        if self._is_excused():
            return
        self._notice("not_transcribed", speech_s=round(event.speech_duration, 2))
        if self._unheard.missed(event.speech_duration):
            self._fail(DEAF)

    def _on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final and event.transcript.strip():
            self.heard()

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        message = event.item
        if isinstance(message, llm.ChatMessage) and message.role == "user" and not self._overdue:
            self._overdue = self._loop.call_later(self._unanswered_s, self._on_overdue)

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self._answered()

    def _answered(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        now = self._loop.time()
        if event.new_state == "speaking":
            self._await_words(False)
            self._voice_began = now
        elif self._voice_began is not None:
            speech_s, pause_s = now - self._voice_began, self._voice_began - self._voice_ended
            self._voice_began, self._voice_ended = None, now
            if self._session.stt is not None and not self._is_excused():
                self._await_words(self._unheard.spoke(speech_s, pause_s))

    def _await_words(self, is_last_chance: bool) -> None:
        if self._unworded is not None:
            self._unworded.cancel()
            self._unworded = None
        if is_last_chance:
            self._unworded = self._loop.call_later(_LAST_CHANCE_S, self._fail, DEAF)

    def _on_overdue(self) -> None:
        self._overdue = None
        if self._is_excused():
            self._overdue = self._loop.call_later(self._unanswered_s, self._on_overdue)
        elif self._session.agent_state == "thinking" or self._session.user_state == "speaking":
            self._fail("no answer came")
