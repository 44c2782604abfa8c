"""A bot's tools: the built-in ones and the back ends its rules declare; each run is reported."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Protocol

import structlog
from livekit.agents import RunContext, llm
from livekit.agents.llm import ToolError, ToolResult, function_tool

from agent.speech.backend import answer
from contracts.bot import BotConfig
from contracts.report import ToolCalled
from contracts.rules import RulesConfig, Tool

log = structlog.get_logger(__name__)

MAX_LEVELS = 32
"""Of what is kept of a use: readers of JSON give up some way below, on the whole report."""

OnCalled = Callable[[ToolCalled], None]
Run = Callable[[dict[str, Any], RunContext[Any]], Awaitable[Any]]


class CallControl(Protocol):
    """What tools may do to the call they run in."""

    async def end_after_goodbye(self, context: RunContext[Any]) -> str | None:
        """End the call once the line that led here was heard.

        Return why not, if the caller cut in.
        """

    async def leave_voicemail(self, context: RunContext[Any]) -> str | None:
        """Leave the bot's message on a machine and hang up; return why not, if it is a person."""


@dataclass(frozen=True, slots=True)
class NotTransferred:
    """Why the caller is still there, and what they were told of it, if anything."""

    reason: str
    said: str = ""


class TransferControl(Protocol):
    """Hands callers over."""

    async def transfer(
        self, context: RunContext[Any], reason: str, target: str
    ) -> NotTransferred | None:
        """Hand the caller over; return why not, if it did not come about."""


def built_in_tools(
    config: BotConfig,
    call: CallControl,
    phone: TransferControl,
    on_called: OnCalled,
    *,
    can_transfer: bool,
) -> list[llm.Tool]:
    """Return the built-in tools a bot's config asks for."""
    tools: list[llm.Tool] = []

    async def end_call(_: dict[str, Any], context: RunContext[Any]) -> Any:
        refused = await call.end_after_goodbye(context)
        return refused if refused else ToolResult("The call has ended.", reply_required=False)

    async def detected_voicemail(_: dict[str, Any], context: RunContext[Any]) -> Any:
        refused = await call.leave_voicemail(context)
        return refused if refused else ToolResult("The message was left.", reply_required=False)

    async def transfer_call(arguments: dict[str, Any], context: RunContext[Any]) -> Any:
        refused = await phone.transfer(
            context, str(arguments.get("reason") or ""), str(arguments.get("target") or "")
        )
        if refused is None:
            return ToolResult("The caller was handed over.", reply_required=False)
        if not refused.said:
            raise ToolError(refused.reason)
        return {"transferred": "no", "reason": refused.reason, "caller_was_told": refused.said}

    if config.end_call_enabled:
        tools.append(tool("end_call", "End the current call.", {}, end_call, on_called))
    if config.voicemail_detection_enabled:
        tools.append(
            tool(
                "detected_voicemail",
                "A machine answered, not a person: leave the message and hang up.",
                {},
                detected_voicemail,
                on_called,
            )
        )
    if can_transfer:
        tools.append(
            tool(
                "transfer_call",
                "Hand the caller over to a human.",
                {
                    "reason": {"type": "string", "description": "Why, in a few words."},
                    "target": {
                        "type": "string",
                        "description": "Who to hand over to; leave out for the usual one.",
                    },
                },
                transfer_call,
                on_called,
            )
        )
    return tools


def declared_tools(
    rules: RulesConfig, now: Callable[[], datetime], on_called: OnCalled
) -> list[llm.Tool]:
    """Return the simulated back ends of a rules brain; `now` is in the bot's time zone."""

    def backed(declared: Tool) -> Run:
        async def run(arguments: dict[str, Any], _: RunContext[Any]) -> Any:
            return answer(declared, arguments, now())

        return run

    return [
        tool(
            name,
            declared.description,
            {argument: {"type": "string"} for argument in declared.arguments},
            backed(declared),
            on_called,
        )
        for name, declared in rules.tools.items()
    ]


@dataclass(frozen=True, slots=True)
class Shown:
    """A result: as the model reads it, and as it is kept, with facts beside it."""

    text: str
    value: Any
    detail: dict[str, Any] = field(default_factory=dict)


class ToolFailed(ToolError):
    """A tool gave nothing; the model is told `message`, and `failure` and more is kept."""

    def __init__(self, message: str, failure: str, **detail: Any) -> None:
        super().__init__(message)
        self.detail = {"failure": failure, **{key: fact for key, fact in detail.items() if fact}}


def tool(
    name: str, description: str, properties: dict[str, Any], run: Run, on_called: OnCalled
) -> llm.Tool:
    """Return a LiveKit tool of that name which runs `run` and reports how it went."""
    schema = {"type": "object", "properties": properties}
    return schema_tool(name, description, schema, run, on_called)


def schema_tool(
    name: str, description: str, schema: dict[str, Any], run: Run, on_called: OnCalled
) -> llm.Tool:
    """Return the same for arguments of a JSON schema."""
    # Some vendors take no function without a description.
    words = description or name.replace("_", " ")

    async def reported(raw_arguments: dict[str, object], context: RunContext[Any]) -> Any:
        started = perf_counter()

        def called(**outcome: Any) -> ToolCalled:
            duration_ms = round((perf_counter() - started) * 1000, 1)
            return ToolCalled(
                at=datetime.now(UTC),
                name=name,
                arguments={key: _kept(value) for key, value in raw_arguments.items()},
                duration_ms=duration_ms,
                **outcome,
            )

        try:
            result = await run(dict(raw_arguments), context)
        except ToolFailed as error:
            on_called(called(error=str(error.message), detail=error.detail))
            raise
        except ToolError as error:
            on_called(called(error=str(error.message)))
            raise
        except asyncio.CancelledError:
            on_called(called(error="cancelled: the caller cut in, or the call ended"))
            raise
        except Exception as error:
            log.exception("tool failed", tool=name)
            on_called(called(error=type(error).__name__))
            raise
        if isinstance(result, Shown):
            on_called(called(result=_kept(result.value), detail=result.detail))
            return result.text
        on_called(called(result=result.output if isinstance(result, ToolResult) else result))
        return result

    return function_tool(
        reported,
        raw_schema={"name": name, "description": words, "parameters": schema},
    )


def _kept(value: Any, levels: int = MAX_LEVELS) -> Any:
    """Return JSON with what lies too deep in it as text."""
    if not isinstance(value, dict | list):
        return value
    if not levels:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return [_kept(part, levels - 1) for part in value]
    return {key: _kept(part, levels - 1) for key, part in value.items()}
