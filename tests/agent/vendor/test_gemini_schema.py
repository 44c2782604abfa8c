"""What Gemini Live is told of tools whose schemas say more than it can take."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import llm
from livekit.agents.llm import function_tool
from livekit.plugins.google.utils import create_tools_config

from agent.vendor.gemini_schema import declared, gemini_schema


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def tool(schema: dict[str, Any], name: str = "find") -> llm.Tool:
    async def run(raw_arguments: dict[str, object]) -> None: ...

    return function_tool(run, raw_schema={"name": name, "description": "", "parameters": schema})


NODE = an_object(next={"$ref": "#/$defs/node"}, value={"type": "integer"})
SCHEMAS: dict[str, tuple[Any, Any]] = {
    "nothing said": ({}, {"type": "string"}),
    "anything goes": (True, {"type": "string"}),
    "nullable": ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
    "nullable choice": (
        {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "How many."},
        {"type": "integer", "nullable": True, "description": "How many."},
    ),
    "null alone": ({"type": ["null"]}, {"type": "string", "nullable": True}),
    "several": (
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    ),
    "texts": ({"type": "string", "enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
    "texts or none": ({"enum": ["a", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
    "numbers": (
        {"type": "integer", "enum": [1, 2], "description": "Which."},
        {"type": "integer", "description": "Which. One of: 1, 2."},
    ),
    "a constant": ({"const": "k"}, {"type": "string", "enum": ["k"]}),
    "a list": (
        {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 1},
        {"type": "array", "items": {"type": "number"}, "minItems": 1},
    ),
    "reference": (
        {"$ref": "#/$defs/day", "description": "When."},
        {"type": "string", "format": "date", "description": "When."},
    ),
    "lost reference": ({"$ref": "#/$defs/none"}, {"type": "string"}),
    "all of": (
        {"allOf": [{"$ref": "#/$defs/day"}, {"pattern": "^2"}]},
        {"type": "string", "format": "date", "pattern": "^2"},
    ),
    "parts": (
        {"properties": {"a": False, "b": {"type": "boolean"}}, "required": ["a", "b"]},
        {"type": "object", "properties": {"b": {"type": "boolean"}}, "required": ["b"]},
    ),
}


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS.values(), ids=SCHEMAS)
def test_schema_is_put_plainly(schema: Any, expected: Any) -> None:
    whole = {**an_object(it=schema), "$defs": {"day": {"type": "string", "format": "date"}}}
    assert gemini_schema(whole)["properties"]["it"] == expected
    create_tools_config(llm.ToolContext(declared([tool(whole)])), use_parameters_json_schema=False)


def test_parts_of_all_that_it_has_to_be_come_together() -> None:
    both = {
        "allOf": [
            {**an_object(a={"type": "string"}), "required": ["a"]},
            {**an_object(b={"type": "string"}), "required": ["b"]},
        ]
    }
    plain = gemini_schema(both)
    assert sorted(plain["properties"]) == sorted(plain["required"]) == ["a", "b"]


def test_tree_ends_somewhere() -> None:
    tree = {**NODE, "$defs": {"node": NODE}}
    (told,) = declared([tool(tree)])
    level, levels = gemini_schema(tree), 0
    while "properties" in level:
        level, levels = level["properties"]["next"], levels + 1
    assert levels > 3
    assert level == {"type": "object"}
    create_tools_config(llm.ToolContext([told]), use_parameters_json_schema=False)


def test_tool_that_cannot_be_told_of_is_left_out_alone() -> None:
    odd = tool(an_object(a={"type": 5}), "odd")
    found = declared([odd, tool(an_object(a={"type": "string"}), "sound")])
    assert [each.info.name for each in found if isinstance(each, llm.RawFunctionTool)] == ["sound"]
