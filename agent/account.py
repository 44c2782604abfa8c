"""The account of a conversation: what the session tells, as facts in the order they make sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from time import time
from typing import Any

from livekit.agents import llm
from livekit.agents.voice.events import (
    ConversationItemAddedEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
)

from agent.chat import TYPED
from agent.intent import intents_in
from contracts.report import Fact, IntentFound, Noticed, TranscriptLine


class Account:
    """Turns a session's events into facts.

    A caller's line is told once the session takes it up, or when the call ends before it did;
    intents follow the words they lie in. Both sides' lines are dated by when they were begun.
    """

    def __init__(
        self,
        tell: Callable[[Fact], None],
        listening_for: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """
        Args:
            tell: takes each fact.
            listening_for: intents that are looked for in every line of the caller's, and ways to
                put them.
        """
        self.tell = tell
        self._listening_for = listening_for or {}
        self._untold: list[str] = []
        self._intents: list[IntentFound] = []
        self._voice_began: float | None = None
        self._half_heard = False

    def notice(self, name: str, **detail: Any) -> None:
        """Tell something else worth showing."""
        self.tell(Noticed(at=datetime.now(UTC), name=name, detail=detail))

    def on_user_state(self, event: UserStateChangedEvent) -> None:
        """Take note of when the caller began to speak."""
        if event.new_state == "speaking" and self._voice_began is None:
            self._voice_began = event.created_at

    def on_transcribed(self, event: UserInputTranscribedEvent) -> bool:
        """Take note of words; return whether they are final."""
        text = event.transcript.strip()
        self._half_heard = bool(text) and not event.is_final
        if event.is_final and text:
            self._untold.append(text)
        return event.is_final and bool(text)

    def on_item(self, event: ConversationItemAddedEvent) -> None:
        """Tell a line that was taken up or spoken."""
        message = event.item
        if not isinstance(message, llm.ChatMessage) or not message.text_content:
            return
        if message.role == "user" and message.extra.get(TYPED):
            self._tell_words(message.text_content, _utc(message.created_at), typed=True)
        elif message.role == "user":
            self._untold.clear()
            self._tell_caller(message.text_content)
        elif message.role == "assistant":
            at = _utc(message.metrics.get("started_speaking_at", message.created_at))
            self._tell_bot(message, at)

    def took_up(self, text: str) -> None:
        """Tell a turn that the session was kept from answering."""
        self._untold.clear()
        self._tell_caller(text)

    def said_over_bot(self, text: str) -> None:
        """Tell words that did not cut the bot off."""
        self._tell_caller(text)
        self.notice("backchannel")

    def intend(self, name: str, confidence: float, slots: dict[str, Any]) -> None:
        """Take note of what the caller wants; told after the words it lies in."""
        self._intents.append(
            IntentFound(at=datetime.now(UTC), name=name, confidence=confidence, slots=slots)
        )
        if not self._untold:
            self._tell_intents()

    @property
    def half_heard(self) -> bool:
        """Whether words were heard that are not final yet."""
        return self._half_heard

    @property
    def is_mid_turn(self) -> bool:
        """Whether words were heard that nobody has taken up yet."""
        return self._half_heard or bool(self._untold)

    def close(self) -> None:
        """Tell what is still untold: last words nobody answered."""
        if self._untold:
            self._tell_caller(" ".join(self._untold))
            self._untold.clear()
        self._tell_intents()

    def _tell_caller(self, text: str) -> None:
        # The session's own start of a turn still counts words that were held back before it.
        began, self._voice_began = self._voice_began or time(), None
        self._tell_words(text, _utc(began))

    def _tell_words(self, text: str, at: datetime, *, typed: bool = False) -> None:
        self.tell(TranscriptLine(at=at, speaker="customer", text=text, typed=typed))
        for name, confidence in intents_in(text, self._listening_for):
            self.tell(IntentFound(at=datetime.now(UTC), name=name, confidence=confidence))
        self._tell_intents()

    def _tell_bot(self, message: llm.ChatMessage, at: datetime) -> None:
        text = (message.text_content or "").strip()
        self.tell(TranscriptLine(at=at, speaker="bot", text=text, interrupted=message.interrupted))

    def _tell_intents(self) -> None:
        for intent in self._intents:
            self.tell(intent)
        self._intents.clear()


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
