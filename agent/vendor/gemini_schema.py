"""Tools' schemas in the part of JSON Schema that Gemini Live takes.

What it has no word for is put plainly: a caller's words are held to the whole schema when the tool
is used. https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from livekit.agents import llm
from livekit.agents.llm import function_tool
from livekit.plugins.google.utils import create_tools_config

log = structlog.get_logger(__name__)

MAX_LEVELS = 12
_TAKEN = frozenset(
    {
        *("description", "format", "minimum", "maximum", "minLength", "maxLength", "pattern"),
        *("minItems", "maxItems"),
    }
)
_ANYTHING = {"type": "string"}


def declared(tools: Iterable[llm.Tool]) -> list[llm.Tool]:
    """Return tools as they are declared to Gemini Live: it runs none by itself."""
    found: list[llm.Tool] = []
    for tool in tools:
        if isinstance(tool, llm.RawFunctionTool):
            told = _told(tool)
            try:
                # The plug-in does so at each connection, and a call would end with what it raises.
                create_tools_config(llm.ToolContext([told]), use_parameters_json_schema=False)
            except (ValueError, TypeError, KeyError) as error:
                log.warning("tool left out", tool=tool.info.name, error=type(error).__name__)
                continue
            tool = told
        found.append(tool)
    return found


def gemini_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object's JSON schema as Gemini takes it."""
    return _Plain(schema).of(schema, MAX_LEVELS)


def _told(tool: llm.RawFunctionTool[..., Any]) -> llm.RawFunctionTool[..., Any]:
    async def run(raw_arguments: dict[str, object]) -> None:
        """Take its place: who uses the tool asks the call's own."""

    raw = tool.info.raw_schema
    return function_tool(run, raw_schema={**raw, "parameters": gemini_schema(raw["parameters"])})


class _Plain:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def of(self, schema: Any, levels: int) -> dict[str, Any]:
        if not isinstance(schema, Mapping):
            return dict(_ANYTHING)
        schema = self._whole(schema, levels)
        plain = {key: value for key, value in schema.items() if key in _TAKEN}
        if not levels:
            return {**plain, "type": "object"}
        choices = schema.get("anyOf") or schema.get("oneOf")
        kinds = schema.get("type")
        if isinstance(kinds, list):
            choices = [{**schema, "type": kind} for kind in kinds]
        if isinstance(choices, list) and choices:
            return self._one_of(plain, choices, levels)
        plain["type"] = kinds or ("object" if "properties" in schema else _ANYTHING["type"])
        _limit(plain, schema)
        if plain["type"] == "object":
            given = schema.get("properties") or {}
            parts = {name: part for name, part in given.items() if part is not False}
            plain["properties"] = {name: self.of(part, levels - 1) for name, part in parts.items()}
            plain["required"] = [name for name in schema.get("required", ()) if name in parts]
        elif plain["type"] == "array":
            plain["items"] = self.of(schema.get("items", {}), levels - 1)
        return plain

    def _one_of(self, plain: dict[str, Any], choices: list[Any], levels: int) -> dict[str, Any]:
        found = [self.of(choice, levels - 1) for choice in choices if not _is_null(choice)]
        if len(found) < len(choices):
            plain["nullable"] = True
        if len(found) == 1:
            return {**found[0], **plain}
        return {**plain, "anyOf": found} if found else {**plain, **_ANYTHING}

    def _whole(self, schema: Mapping[str, Any], levels: int) -> dict[str, Any]:
        """Return a schema with what it refers to, and all that it has to be, in one."""
        whole = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        parts = list(schema.get("allOf") or ())
        if "$ref" in schema:
            parts.append(self._found(schema["$ref"]))
        for part in parts if levels else ():
            if not isinstance(part, Mapping):
                continue
            also = self._whole(part, levels - 1)
            properties = {**also.get("properties", {}), **whole.get("properties", {})}
            required = [*whole.get("required", ()), *also.get("required", ())]
            whole = {**also, **whole}
            if properties:
                whole |= {"properties": properties, "required": required}
        return whole

    def _found(self, reference: str) -> Any:
        found: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            found = found.get(step) if isinstance(found, Mapping) else None
        return found


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _limit(plain: dict[str, Any], schema: Mapping[str, Any]) -> None:
    """Name the values there are: where they are no texts, in the description."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not values:
        return
    if None in values:
        plain["nullable"] = True
        values = [value for value in values if value is not None]
    if plain["type"] == "string" and all(isinstance(value, str) and value for value in values):
        plain["enum"] = values
        return
    listed = ", ".join(json.dumps(value, ensure_ascii=False) for value in values)
    plain["description"] = f"{plain.get('description', '')} One of: {listed}.".strip()
