"""Conversations with a model that hears and speaks by itself, so that they keep a phone's manners.

The model's own ears are not asked when a turn is over, nor whether the bot is interrupted: the
caller's voice is held back by a gate, words and turns are judged as in every other conversation,
and only a turn that is over is given to the model. docs/realtime.md tells why.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from inspect import getclosurevars
from time import time
from typing import Any, Protocol

from livekit import rtc
from livekit.agents import AgentSession, llm
from livekit.agents.voice import SpeechHandle
from livekit.agents.voice.events import (
    AgentState,
    ConversationItemAddedEvent,
    SpeechCreatedEvent,
)

from agent.chat import TYPED
from agent.failure import FailureLog
from agent.latency import TurnClock
from agent.room_audio import RoomAudioOutput
from agent.speech.keys import pressed_in

LEAD_S = 0.4
"""How much of what came before a voice goes with it: a detector is late."""
IDLE_S = 12.0
"""A gate that nobody's voice kept open for so long was opened by a noise."""
GO_ON = (
    "The line to you broke while you were speaking. The caller has heard the beginning of your"
    " last answer: go on from there, without repeating it."
)
SAY_EXACTLY = "Greet the caller. Say exactly this, in these words, and nothing else: {line}"


class VoiceGate:
    """Holds back what a caller sends while they do not speak. Time is that of the audio."""

    def __init__(self) -> None:
        self._lead: deque[rtc.AudioFrame] = deque()
        self._lead_s = 0.0
        self._idle_s = 0.0
        self.is_open = False

    def hear(self, frame: rtc.AudioFrame) -> bool:
        """Take the next audio; return whether it goes on to the model."""
        if not self.is_open:
            self._lead.append(frame)
            self._lead_s += frame.duration
            while self._lead_s - self._lead[0].duration >= LEAD_S:
                self._lead_s -= self._lead.popleft().duration
            return False
        self._idle_s += frame.duration
        return True

    @property
    def is_forgotten(self) -> bool:
        """Whether it has stood open for long without a voice."""
        return self.is_open and self._idle_s >= IDLE_S

    def voice(self) -> list[rtc.AudioFrame]:
        """Somebody speaks; return what goes before, if they begin to."""
        self._idle_s = 0.0
        if self.is_open:
            return []
        self.is_open = True
        lead = list(self._lead)
        self._lead.clear()
        self._lead_s = 0.0
        return lead

    def close(self) -> None:
        """The turn is over, or none."""
        self.is_open = False
        self._idle_s = 0.0


class Follower(Protocol):
    """Follows a realtime model through its troubles."""

    def ask_again(self, *, has_begun: bool) -> None:
        """A lost answer is to be asked for anew; `has_begun`: some of it was said."""

    def weigh(self) -> None:
        """Whether the model owes an answer may have changed."""

    def lost(self, why: str) -> None:
        """The model cannot carry the call on."""


class RealtimeEngine(Protocol):
    """What our realtime models are told beside what the framework tells them."""

    @property
    def owes_answer(self) -> bool:
        """Whether it was asked, and nothing came yet."""

    def follow(self, follower: Follower, is_bot_heard: Callable[[], bool]) -> None:
        """Tell `follower` of troubles; `is_bot_heard`: whether a line is being played."""

    def caller_said(self, message: llm.ChatMessage, order: str) -> None:
        """A turn is over.

        Its words stand in the history, should it be told anew; `order`: how to answer it, or "".
        """

    def forget_voice(self) -> None:
        """What the caller said was no turn."""


class RealtimeTalk:
    """One session's dealings with its realtime model.

    Args:
        session: the conversation's.
        engine: its model.
        turns: takes the moments of each turn.
        output: the bot's voice.
        notice: tells something worth showing.
        fail: takes why the model cannot carry the call on.
    """

    def __init__(
        self,
        session: AgentSession[None],
        engine: RealtimeEngine,
        turns: TurnClock,
        output: RoomAudioOutput,
        notice: Callable[..., None],
        fail: Callable[[str], None],
    ) -> None:
        self._session = session
        self._engine = engine
        self._turns = turns
        self._notice = notice
        self._fail = fail
        self._failures = FailureLog()
        self._taken_up: llm.ChatMessage | None = None
        self._under_way: set[SpeechHandle] = set()
        session.on("speech_created", self._on_speech)
        session.on("conversation_item_added", self._on_item)
        engine.follow(self, lambda: output.speaking_line is not None)

    def taken_up(self, message: llm.ChatMessage, order: str = "") -> None:
        """A turn is over, and will be answered, as `order` says if it says anything."""
        self._engine.caller_said(message, order)
        self._taken_up = message
        # The framework leaves a caller's words out where a model hears by itself.
        self._session.emit("conversation_item_added", ConversationItemAddedEvent(item=message))

    def said_over_bot(self) -> None:
        """What was said was no turn."""
        # What is being said by now may well be one: then a "hmm" before it does no harm.
        if self._session.user_state != "speaking":
            self._engine.forget_voice()

    def ask_again(self, *, has_begun: bool) -> None:
        """See `Follower`."""
        self._notice("realtime_asked_again", has_begun=has_begun)
        if self._failures.add(asyncio.get_running_loop().time()):
            self.lost("the realtime model failed again and again")
            return
        try:
            if has_begun:
                self._session.generate_reply(instructions=GO_ON)
            else:
                self._session.generate_reply()
        except RuntimeError:
            # The session is closing: there is nobody to answer.
            return

    def lost(self, why: str) -> None:
        """See `Follower`."""
        self._notice("service_error", source="RealtimeModel", recoverable=False)
        self._fail(why)

    def weigh(self) -> None:
        """See `Follower`. A silence in which the model owes an answer is not the caller's."""
        if self._under_way:
            return
        state: AgentState = "thinking" if self._engine.owes_answer else "listening"
        if self._session.agent_state in ("thinking", "listening"):
            self._session._update_agent_state(state)

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        # The framework passes a visitor's message on as bare text, without what marks it.
        item = event.item
        if not isinstance(item, llm.ChatMessage) or item.role != "user":
            return
        is_written = item is not self._taken_up and item.transcript_confidence is None
        if is_written and not pressed_in(item.text_content or ""):
            item.extra[TYPED] = True

    def _on_speech(self, event: SpeechCreatedEvent) -> None:
        handle = event.speech_handle
        self._under_way.add(handle)
        handle.add_done_callback(self._on_done)
        if event.source != "generate_reply":
            return
        message, self._taken_up = self._taken_up, None
        if message is not None:
            self._turns.taken_up(handle.id, message.metrics, time())
            self._turns.requested(handle.id)
        # The framework does so for every other model: a silence meanwhile is not the caller's.
        if self._session.agent_state == "listening":
            self._session._update_agent_state("thinking")

    def _on_done(self, handle: SpeechHandle) -> None:
        self._under_way.discard(handle)
        self.weigh()


async def voiced(
    frames: AsyncIterable[rtc.AudioFrame], turns: TurnClock, speech: str
) -> AsyncIterator[rtc.AudioFrame]:
    """Pass a model's voice on, noting when it began."""
    is_first = True
    async for frame in frames:
        if is_first:
            is_first = False
            turns.token(speech)
            turns.voiced(speech, None)
        yield frame


def wait_for(asked: asyncio.Future[llm.GenerationCreatedEvent]) -> None:
    """Let an answer take its time: a plug-in's own limit, of 5 or 10 s, is not the bot's."""
    for done, _ in asked._callbacks:
        for known in getclosurevars(done).nonlocals.values():
            if isinstance(known, asyncio.TimerHandle):
                known.cancel()


class AnswerTimer:
    """Tells when a model that was asked has given nothing for too long.

    Args:
        answer_s: what is too long.
        on_overdue: takes how many times in a row it was.
        on_change: told when the model is asked, or is not any more.
    """

    def __init__(
        self,
        answer_s: float,
        on_overdue: Callable[[int], Any],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._answer_s = answer_s
        self._on_overdue = on_overdue
        self._on_change = on_change
        self._timer: asyncio.TimerHandle | None = None
        self._misses = 0
        self.is_asked = False
        """Whether an answer is due, or overdue."""

    def asked(self) -> None:
        """The model was asked for an answer."""
        self._cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._answer_s, self._expire)
        self._set(True)

    def answered(self) -> None:
        """Sound, or a tool's call, came."""
        self._misses = 0
        self.stop()

    def stop(self) -> None:
        """Nothing is expected any more."""
        self._cancel()
        self._set(False)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, is_asked: bool) -> None:
        if self.is_asked is not is_asked:
            self.is_asked = is_asked
            self._on_change()

    def _expire(self) -> None:
        self._timer = None
        self._misses += 1
        self._on_overdue(self._misses)
