"""A brain of several: where one is silent or breaks off, the next ends its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import Any

from livekit.agents import APIConnectOptions, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

from agent.failure import Silent
from agent.fallback.continuation import Continuation, continuing
from agent.fallback.line_up import Attempts, LineUp
from agent.speech.rules import RulesLLM

Brain = llm.LLM[Any]

_LONGEST_S = 8.0
"""So long all brains together may keep a caller waiting; where it is longer, two deadlines."""


class FallbackLLM(llm.LLM[Any]):
    """Asks the next brain where one gives nothing useful for `first_token_s`.

    What was said stays said: the next is told of it and asked for the rest. Once a tool is called
    the answer is over, however it ends, so that none is called twice; its result is a new question.
    """

    def __init__(self, line_up: LineUp[Brain], *, first_token_s: float) -> None:
        super().__init__()
        self.line_up = line_up
        self.first_token_s = first_token_s
        for brain in line_up.engines:
            brain.on("metrics_collected", self._pass_on)

    @property
    def model(self) -> str:
        return self.line_up.current.engine.model

    @property
    def provider(self) -> str:
        return self.line_up.current.engine.provider

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **asked: Any,
    ) -> llm.LLMStream:
        return _Answer(self, asked, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    def prewarm(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.line_up.members[0].engine.prewarm(loop=loop)

    async def aclose(self) -> None:
        await super().aclose()
        await self.line_up.aclose()

    def _pass_on(self, *metrics: Any) -> None:
        self.emit("metrics_collected", *metrics)


class _Answer(llm.LLMStream):
    def __init__(self, owner: FallbackLLM, asked: dict[str, Any], **how: Any) -> None:
        super().__init__(owner, **how)
        self._owner = owner
        self._asked = asked
        self._loop = asyncio.get_running_loop()
        self._said = ""
        self._waits_since = self._loop.time()
        self._has_called = False

    async def _run(self) -> None:
        attempts = self._owner.line_up.attempts()
        for brain in attempts:
            if self._said and isinstance(brain, RulesLLM):
                return  # it answers what callers say, and knows no other's words
            await asyncio.sleep(attempts.pause_s)
            try:
                await self._ask(brain, attempts)
            except Exception as error:  # whatever a vendor's plug-in may raise: the next one's turn
                attempts.fail(error)
                if self._has_called:
                    return
            else:
                attempts.succeed()
                return

    async def _ask(self, brain: Brain, attempts: Attempts[Brain]) -> None:
        """Pass on what a brain answers.

        Raises:
            APIError: it failed, or gave nothing for too long.
        """
        wait_s = self._patience_s(attempts)
        context = continuing(self._chat_ctx, self._said) if self._said else self._chat_ctx
        rest = Continuation(self._said)
        # The plug-in's own is for every token, and the wait for the first may be cut short.
        timeout_s = max(wait_s, self._owner.first_token_s)
        once = APIConnectOptions(max_retry=0, timeout=timeout_s)
        stream = brain.chat(chat_ctx=context, tools=self._tools, conn_options=once, **self._asked)
        try:
            async with stream, asyncio.timeout(wait_s) as deadline:
                async for chunk in stream:
                    if chunk.has_response():
                        self._waits_since = self._loop.time()
                        wait_s = self._patience_s(attempts)
                        deadline.reschedule(self._waits_since + wait_s)
                    self._pass_on(chunk, rest)
        except TimeoutError as error:
            raise Silent(f"nothing for {round(wait_s, 1):g} s") from error
        if left := rest.flush():
            self._say(llm.ChatChunk(id="", delta=llm.ChoiceDelta(content=left)))
        if self._is_unanswered:
            raise Silent("an empty answer")

    def _patience_s(self, attempts: Attempts[Brain]) -> float:
        """Return how long the brain asked now may leave the caller without a word."""
        each_s = self._owner.first_token_s
        waited_s = self._loop.time() - self._waits_since
        return attempts.patience_s(each_s, max(_LONGEST_S, 2 * each_s) - waited_s)

    @property
    def _is_unanswered(self) -> bool:
        """Whether a caller would be left without a word; of a tool's result none need be said."""
        last = self._chat_ctx.items[-1] if self._chat_ctx.items else None
        asks = isinstance(last, llm.ChatMessage) and last.role == "user"
        return asks and not self._said and not self._has_called

    def _pass_on(self, chunk: llm.ChatChunk, rest: Continuation) -> None:
        if chunk.delta is None:
            self._event_ch.send_nowait(chunk)
            return
        held = rest.flush() if chunk.delta.tool_calls else ""
        content = held + rest.push(chunk.delta.content or "")
        self._has_called = self._has_called or bool(chunk.delta.tool_calls)
        self._say(
            chunk.model_copy(update={"delta": chunk.delta.model_copy(update={"content": content})})
        )

    def _say(self, chunk: llm.ChatChunk) -> None:
        assert chunk.delta is not None
        self._said += chunk.delta.content or ""
        self._event_ch.send_nowait(chunk)

    async def _metrics_monitor_task(self, event_aiter: AsyncIterable[llm.ChatChunk]) -> None:
        # Each brain's own stream has counted.
        async for _ in event_aiter:
            pass
