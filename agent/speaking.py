"""The session's speeches: which one the running task works for, and what becomes of turns in them.

The session calls a bot's nodes without naming the speech, and several may be in the making: an
answer prepared early, its successor, a line that a tool says.
"""

from __future__ import annotations

from time import time
from typing import Any

from livekit.agents import AgentSession, llm
from livekit.agents.voice import SpeechHandle
from livekit.agents.voice.agent_activity import _SpeechHandleContextVar
from livekit.agents.voice.events import (
    ConversationItemAddedEvent,
    SpeechCreatedEvent,
    UserInputTranscribedEvent,
)

from agent.chat import TYPED
from agent.latency import TurnClock
from agent.speech.keys import pressed_in


def speech_id() -> str:
    """Return the id of the speech that this task generates, speaks or runs a tool for, or "".

    The SDK itself goes by this variable, which it does not publish; `livekit-agents` is pinned, and
    the tests of whole conversations fail should it go.
    """
    handle = _SpeechHandleContextVar.get(None)
    return "" if handle is None else handle.id


def follow(session: AgentSession[Any], turns: TurnClock) -> None:
    """Note the session's part of every turn."""

    def on_transcribed(event: UserInputTranscribedEvent) -> None:
        if event.is_final and event.transcript.strip():
            turns.transcribed()

    def on_item(event: ConversationItemAddedEvent) -> None:
        # Told by the task of the speech that answers it. What was pressed or typed has no end that
        # could be heard.
        item = event.item
        if not isinstance(item, llm.ChatMessage) or item.role != "user" or item.extra.get(TYPED):
            return
        if not pressed_in(item.text_content or ""):
            turns.taken_up(speech_id(), item.metrics, time())

    def on_speech(event: SpeechCreatedEvent) -> None:
        turns.belongs(event.speech_handle.id, to=speech_id())
        event.speech_handle.add_done_callback(_take_failures)

    session.on("user_input_transcribed", on_transcribed)
    session.on("conversation_item_added", on_item)
    session.on("speech_created", on_speech)


def _take_failures(speech: SpeechHandle) -> None:
    """Take what a line failed with from its tasks, where nobody else does.

    It was logged where it arose, and told by the engine's `error`.
    """
    for task in speech._tasks:
        if task.done() and not task.cancelled():
            task.exception()
