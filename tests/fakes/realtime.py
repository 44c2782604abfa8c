"""A scripted model that hears and speaks by itself: the test says what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from livekit import rtc
from livekit.agents import NotGivenOr, llm, utils
from livekit.agents.types import NOT_GIVEN

from agent.engines import Engines
from agent.realtime import Follower
from contracts.rules import RulesConfig
from tests.fakes.engines import CHARS_PER_S, ScriptedEngines, ScriptedVAD

RATE_HZ = 24_000
THINKS_S = 0.4
Said = str | tuple[str, str, str]


class ScriptedRealtime(llm.RealtimeModel):
    """Answers with the next reply of its script: a text, or a text and a tool to call."""

    def __init__(self, *replies: Said) -> None:
        super().__init__(
            capabilities=llm.RealtimeCapabilities(
                message_truncation=True,
                turn_detection=False,
                user_transcription=False,
                auto_tool_reply_generation=False,
                audio_output=True,
                manual_function_calls=True,
                mutable_chat_context=True,
                mutable_instructions=True,
                mutable_tools=True,
            )
        )
        self.replies = list(replies)
        self.asked: list[str] = []
        """What each reply answered: the caller's words, an order, or what a tool returned."""
        self.orders: list[str] = []
        """How each of the caller's turns was to be answered."""
        self.truncated_ms: list[int] = []
        self.forgotten = 0
        self.interrupted = 0
        self.history: list[str] = []
        self.heard_s = 0.0
        self.is_silent = False
        self.owes_answer = False
        self.words = ""
        self.follower: Follower | None = None

    def session(self, *, turn_detection_disabled: bool = False) -> _Session:
        return _Session(self)

    def follow(self, follower: Follower, is_bot_heard: Callable[[], bool]) -> None:
        self.follower = follower

    def caller_said(self, message: llm.ChatMessage, order: str) -> None:
        self.orders.append(order)
        self.words = message.text_content or ""

    def forget_voice(self) -> None:
        self.forgotten += 1

    async def aclose(self) -> None:
        pass


class _Session(llm.RealtimeSession[Literal["scripted"]]):
    def __init__(self, owner: ScriptedRealtime) -> None:
        super().__init__(owner)
        self._owner = owner
        self._chat_ctx = llm.ChatContext.empty()
        self._tools = llm.ToolContext.empty()
        self._last = ""
        self._speaking: asyncio.Task[None] | None = None

    @property
    def chat_ctx(self) -> llm.ChatContext:
        return self._chat_ctx.copy()

    @property
    def tools(self) -> llm.ToolContext:
        return self._tools.copy()

    async def update_instructions(self, instructions: str) -> None:
        pass

    async def update_chat_ctx(self, chat_ctx: llm.ChatContext) -> None:
        known = {item.id for item in self._chat_ctx.items}
        for item in chat_ctx.items:
            if item.id in known:
                continue
            if isinstance(item, llm.FunctionCallOutput):
                self._last = item.output
            elif isinstance(item, llm.ChatMessage):
                self._owner.history.append(item.text_content or "")
                self._last = item.text_content or ""
        self._chat_ctx = chat_ctx

    async def update_tools(self, tools: list[llm.Tool]) -> None:
        self._tools = llm.ToolContext(tools)

    def update_options(self, *, tool_choice: NotGivenOr[Any] = NOT_GIVEN) -> None:
        pass

    def push_audio(self, frame: rtc.AudioFrame) -> None:
        self._owner.heard_s += frame.duration

    def push_video(self, frame: rtc.VideoFrame) -> None:
        raise AssertionError("a telephone has no camera")

    def generate_reply(
        self, *, instructions: NotGivenOr[str] = NOT_GIVEN, **_: Any
    ) -> asyncio.Future[llm.GenerationCreatedEvent]:
        owner = self._owner
        words, owner.words = owner.words, ""
        owner.asked.append(instructions or words or self._last)
        asked: asyncio.Future[llm.GenerationCreatedEvent] = asyncio.Future()
        if not owner.is_silent:
            reply = owner.replies.pop(0) if owner.replies else "I see."
            self._speaking = asyncio.create_task(self._speak(reply, asked))
        return asked

    def commit_audio(self) -> None:
        pass

    def clear_audio(self) -> None:
        pass

    def interrupt(self) -> None:
        self._owner.interrupted += 1

    def truncate(self, *, audio_end_ms: int, **_: Any) -> None:
        self._owner.truncated_ms.append(audio_end_ms)

    async def aclose(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()

    async def _speak(self, reply: Said, asked: asyncio.Future[llm.GenerationCreatedEvent]) -> None:
        text, tool, arguments = (reply, "", "") if isinstance(reply, str) else reply
        messages = utils.aio.Chan[llm.MessageGeneration]()
        calls = utils.aio.Chan[llm.FunctionCall]()
        await asyncio.sleep(THINKS_S)
        if asked.done():
            return
        event = llm.GenerationCreatedEvent(messages, calls, user_initiated=True)
        asked.set_result(event)
        if text:
            texts, sounds = utils.aio.Chan[str](), utils.aio.Chan[rtc.AudioFrame]()
            modalities: asyncio.Future[list[Literal["text", "audio"]]] = asyncio.Future()
            modalities.set_result(["audio", "text"])
            messages.send_nowait(
                llm.MessageGeneration(utils.shortuuid("item_"), texts, sounds, modalities)
            )
            texts.send_nowait(text)
            samples = round(len(text) / CHARS_PER_S * RATE_HZ)
            sounds.send_nowait(rtc.AudioFrame(b"\x00\x10" * samples, RATE_HZ, 1, samples))
            texts.close()
            sounds.close()
        if tool:
            calls.send_nowait(
                llm.FunctionCall(
                    call_id=utils.shortuuid("call_"), name=tool, arguments=arguments or "{}"
                )
            )
        messages.close()
        calls.close()


class RealtimeEngines(ScriptedEngines):
    """A realtime model, and what hears along with it."""

    def __init__(self, *replies: Said) -> None:
        super().__init__(vad=ScriptedVAD())
        self.model = ScriptedRealtime(*replies)

    def engines(self) -> Engines:
        return Engines(
            stt=self.stt,
            llm=self.model,
            tts=self.tts,
            vad=self.vad,
            turn_detection="vad",
            rules=RulesConfig(),
            pipeline={"realtime": {"provider": "scripted"}},
            realtime=self.model,
        )
