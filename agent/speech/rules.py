"""The rules brain as a LiveKit language model: reads the chat, lets the dialogue answer, calls
tools.

The conversation's state is a function of what is in the chat: what the caller said and what tools
answered, in order. A state is kept for every such sequence, so an answer prepared in advance and
thrown away (preemptive generation) leaves no trace, and an agent that takes a call over replays the
transcript. What the bot said is not read: whether the caller let it finish changes nothing that was
asked.
"""

from __future__ import annotations

import ast
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from livekit.agents import llm, utils
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)

from agent.meanwhile import GOES_ON
from agent.speech.dialogue import Dialogue
from agent.speech.state import Reply, State, Waiting
from contracts.rules import RulesConfig
from contracts.zone import zone_of

OnIntent = Callable[[str, float, dict[str, Any]], None]

_KEPT_STATES = 64
_Moment = tuple[str, ...]
"""The ids of what the caller said and tools answered so far."""


class RulesLLM(llm.LLM[str]):
    """One conversation's brain: make one per call."""

    def __init__(
        self,
        rules: RulesConfig,
        *,
        variables: Mapping[str, str],
        timezone: str,
        now: Callable[[], datetime],
        on_intent: OnIntent | None = None,
    ) -> None:
        """
        Args:
            rules: the bot's rules.
            variables: template variables by full name (`crm.customer_name`).
            timezone: what "tomorrow" is relative to.
            now: the current moment, aware.
            on_intent: called once for each intent heard: name, confidence, slots known by then.
        """
        super().__init__()
        self._dialogue = Dialogue(rules, variables)
        self._zone = zone_of(timezone)
        self._now = now
        self._on_intent = on_intent
        self._states: OrderedDict[_Moment, State] = OrderedDict({(): State()})
        self._reported: set[tuple[int, str]] = set()

    @property
    def model(self) -> str:
        return "rules"

    @property
    def provider(self) -> str:
        return "rules"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        return RulesStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    def reply(self, chat_ctx: llm.ChatContext, tools: frozenset[str]) -> Reply:
        """Return what to say and do after all that is in the chat."""
        events = [item for item in chat_ctx.items if _counts(item)]
        ids = tuple(item.id for item in events)
        late = _late(chat_ctx.items)
        known = next(at for at in range(len(ids), -1, -1) if ids[:at] in self._states)
        if late.issuperset(ids[known:]):
            # Asked again for the same turn: its event is taken once more.
            turns = (at for at in range(known, 0, -1) if ids[at - 1] not in late)
            known = next(turns, 1) - 1
            while ids[:known] not in self._states:
                known -= 1
        state, reply = self._states[ids[:known]], Reply()
        for at, event in enumerate(events[known:], known + 1):
            state, after = self._after(state, event, tools)
            if after is not None or event.id not in late:
                reply = after or Reply()
            self._keep(ids[:at], state)
        self._report(reply, state)
        return reply

    def takes_digits(self, digits: str) -> bool:
        """Return whether the conversation, as it stands, waits for these keys and no more."""
        return self._dialogue.takes_digits(next(reversed(self._states.values())), digits)

    def _after(
        self, state: State, event: llm.ChatItem, tools: frozenset[str]
    ) -> tuple[State, Reply | None]:
        now = self._now().astimezone(self._zone)
        if isinstance(event, llm.ChatMessage):
            return self._dialogue.hear(state, event.text_content or "", now, tools)
        assert isinstance(event, llm.FunctionCallOutput)
        if state.waiting is None or not _answers(event, state.waiting):
            return state, None
        fields = _fields(event.output)
        return self._dialogue.answered(state, fields, now, tools, failed=event.is_error)

    def _keep(self, moment: _Moment, state: State) -> None:
        self._states[moment] = state
        if len(self._states) > _KEPT_STATES:
            # The empty conversation stays: everything can be replayed from it.
            oldest = next(key for key in self._states if key)
            del self._states[oldest]

    def _report(self, reply: Reply, state: State) -> None:
        for intent in reply.intents:
            mark = (state.turn, intent.name)
            if self._on_intent is not None and mark not in self._reported:
                self._reported.add(mark)
                self._on_intent(intent.name, intent.confidence, dict(intent.slots))


class RulesStream(llm.LLMStream):
    """One answer: its sentences as chunks, then its tool calls."""

    def __init__(
        self,
        owner: RulesLLM,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        conn_options: APIConnectOptions,
    ) -> None:
        super().__init__(owner, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)
        self._owner = owner

    async def _run(self) -> None:
        names = frozenset(llm.ToolContext(self._tools).function_tools)
        reply = self._owner.reply(self._chat_ctx, names)
        chunk_id = utils.shortuuid("rules_")
        for number, line in enumerate(filter(None, reply.lines)):
            text = f" {line}" if number else line
            self._send(chunk_id, llm.ChoiceDelta(role="assistant", content=text))
        if reply.tools:
            calls = [
                llm.FunctionToolCall(
                    name=tool.name,
                    arguments=json.dumps(tool.arguments),
                    call_id=utils.shortuuid(_mark(tool.name, tool.arguments)),
                )
                for tool in reply.tools
            ]
            self._send(chunk_id, llm.ChoiceDelta(role="assistant", tool_calls=calls))

    def _send(self, chunk_id: str, delta: llm.ChoiceDelta) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id=chunk_id, delta=delta))


def _counts(item: llm.ChatItem) -> bool:
    """Return whether an item of the chat moves the conversation."""
    if isinstance(item, llm.ChatMessage):
        return item.role == "user"
    # That work goes on is news for models alone.
    return isinstance(item, llm.FunctionCallOutput) and item.output != GOES_ON


def _late(items: Sequence[llm.ChatItem]) -> frozenset[str]:
    """Return the outputs of tools that came after the caller's next turn, which is answered now."""
    called, late, turns = dict[str, int](), set[str](), 0
    for item in items:
        if isinstance(item, llm.FunctionCall):
            called[item.call_id] = turns
        elif isinstance(item, llm.ChatMessage):
            turns += item.role == "user"
        elif isinstance(item, llm.FunctionCallOutput) and called.get(item.call_id, turns) < turns:
            late.add(item.id)
    return frozenset(late)


def _answers(output: llm.FunctionCallOutput, waiting: Waiting) -> bool:
    """Return whether a tool's output is what is waited for, and not what came of it before."""
    if output.name != waiting.tool:
        return False
    return not waiting.fingerprint or output.call_id.startswith(_mark_of(waiting.fingerprint))


def _mark(tool: str, arguments: Mapping[str, Any]) -> str:
    return _mark_of(json.dumps([tool, arguments], sort_keys=True))


def _mark_of(fingerprint: str) -> str:
    return f"call_{sha256(fingerprint.encode()).hexdigest()[:12]}_"


def _fields(output: str) -> dict[str, str]:
    """Return a tool's output as text fields; what is no mapping becomes the field `text`."""
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(output)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, dict):
            return {str(name): "" if field is None else str(field) for name, field in value.items()}
    return {"text": output}
