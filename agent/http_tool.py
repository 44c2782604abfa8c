"""A bot's own tools: each use is one HTTP request, and what came of it in words for the model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any

from livekit.agents import RunContext, llm
from pydantic_core import from_json

from agent.http_request import NoVariable, ToolRequest, Unfit, request_of
from agent.meanwhile import Meanwhile
from agent.tools import OnCalled, Shown, ToolFailed, schema_tool
from agent.web import Answer, AskFailed, Failure, Web
from contracts import template
from contracts.plan import AgentPlan
from contracts.tool import HttpTool
from contracts.tool_schema import argument_faults, coerced

OnIntent = Callable[[str, float, dict[str, Any]], None]

_NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}
_ERROR_CHARS = 500
_CUT = " … (cut)"


class Fault(StrEnum):
    """Why a tool gave nothing, where its server did answer or was never asked."""

    ARGUMENTS = "arguments"
    VARIABLES = "variables"
    STATUS = "status"
    NOT_JSON = "not_json"
    NOT_TEXT = "not_text"
    PATH_MISSING = "path_missing"


class HttpTools:
    """The HTTP tools of one call."""

    def __init__(
        self,
        plan: AgentPlan,
        web: Web,
        meanwhile: Meanwhile,
        on_called: OnCalled,
        on_intent: OnIntent,
    ) -> None:
        self._key = f"{plan.call_id}-{plan.incarnation}"
        self._sent = 0
        self._variables = plan.variables
        self._web = web
        self._meanwhile = meanwhile
        self._on_called = on_called
        self._on_intent = on_intent

    def tool(self, declared: HttpTool) -> llm.Tool:
        """Return a declared tool as the model's."""

        async def run(raw: dict[str, Any], context: RunContext[Any]) -> Shown:
            return await self._run(declared, raw, context)

        return schema_tool(
            declared.name,
            declared.description,
            {**_NO_ARGUMENTS, **declared.parameters},
            run,
            self._on_called,
        )

    async def _run(
        self, declared: HttpTool, raw: dict[str, Any], context: RunContext[Any]
    ) -> Shown:
        arguments = coerced(declared.parameters, raw)
        if faults := argument_faults(declared.parameters, arguments):
            raise ToolFailed(f"Nothing was done: {'; '.join(faults)}", Fault.ARGUMENTS)
        if declared.is_intent:
            self._on_intent(declared.name, 1.0, arguments)
        if not declared.url:
            return Shown("Noted.", "Noted.")
        request = self._request(declared, arguments)
        return await self._meanwhile.run(
            declared.name,
            arguments,
            partial(self._ask, declared, request),
            context,
            self._line(declared, arguments),
        )

    def _request(self, declared: HttpTool, arguments: Mapping[str, Any]) -> ToolRequest:
        try:
            request = request_of(declared, arguments, self._variables)
        except Unfit as error:
            fault = Fault.VARIABLES if isinstance(error, NoVariable) else Fault.ARGUMENTS
            raise ToolFailed(f"Nothing was done: {error}", fault) from error
        if declared.method != "GET":
            # Whoever gets one twice knows it by this. Models' own ids of uses may be all the same.
            self._sent += 1
            request.headers["Idempotency-Key"] = f"{self._key}-{self._sent}"
        return request

    async def _ask(self, declared: HttpTool, request: ToolRequest) -> Shown:
        try:
            answer = await self._web.ask(request, declared.timeout_s)
        except AskFailed as error:
            raise ToolFailed(_told(declared, error), error.failure, detail=error.detail) from error
        if not answer.is_success:
            raise ToolFailed(_refusal(answer), Fault.STATUS, status=answer.status)
        found = found_in(answer, declared.result_path)
        return shown(found, declared.max_result_chars, status=answer.status)

    def _line(self, declared: HttpTool, arguments: Mapping[str, Any]) -> str:
        given = template.namespaced("args", arguments)
        variables = {**self._variables, **given}
        return template.render(declared.pre_message, variables, drop_unresolved=True)


def found_in(answer: Answer, path: str) -> Any:
    """Return what an answer says at `path` (`data.orders.0`): JSON, or text where no path is.

    Raises:
        ToolFailed: it says nothing there.
    """
    text = _text_of(answer)
    if not path and not text.strip():
        return "Done."
    try:
        found: Any = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        if path or "json" in answer.content_type.lower():
            raise ToolFailed(
                "The server's answer cannot be read.", Fault.NOT_JSON, status=answer.status
            ) from error
        return text
    for step in path.split(".") if path else []:
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            raise ToolFailed(
                "The server's answer has nothing about this.",
                Fault.PATH_MISSING,
                status=answer.status,
            )
    return found


def shown(found: Any, max_chars: int, **detail: Any) -> Shown:
    """Return what the model is told of a result, and what is kept of it: no more than that."""
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    if len(text) <= max_chars:
        return Shown(text, found, detail)
    cut = text[: max_chars - len(_CUT)] + _CUT
    return Shown(cut, cut, detail)


def _text_of(answer: Answer) -> str:
    try:
        return answer.body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ToolFailed(
            "The server's answer cannot be read.", Fault.NOT_TEXT, status=answer.status
        ) from error


def _refusal(answer: Answer) -> str:
    words = f"The server refused the request with status {answer.status}"
    if answer.status >= 500:
        words = f"The server failed with status {answer.status}"
    if 400 <= answer.status < 500 and (why := _excerpt(answer)):
        # "That time is taken" is worth telling.
        return f"{words}: {why}"
    return f"{words}."


def _excerpt(answer: Answer) -> str:
    if not answer.content_type.lower().startswith(("application/", "text/plain")):
        return ""
    text = answer.body.decode("utf-8", "replace").strip()
    return text if len(text) <= _ERROR_CHARS else text[:_ERROR_CHARS] + _CUT


def _told(declared: HttpTool, error: AskFailed) -> str:
    match error.failure:
        case Failure.TIMEOUT:
            words = f"The server did not answer within {declared.timeout_s:g} seconds."
        case Failure.UNREACHABLE:
            words = "The server cannot be reached."
        case Failure.REFUSED:
            words = "This tool may not be used: its address is not allowed."
        case Failure.TOO_BIG | Failure.ENCODED:
            words = "The server's answer cannot be read."
    if error.is_sent and declared.method != "GET":
        words += " Whether it was done is not known: do not simply do it again."
    return words
