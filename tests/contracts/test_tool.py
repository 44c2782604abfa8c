"""`contracts.tool`: what makes a tool or a server, and what is refused by which field."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contracts.bot import BotConfig
from contracts.tool import HttpTool, McpServer

SCHEMA = {"type": "object", "properties": {"order_id": {"type": "string"}}}
URL = "https://api.example/orders/{{args.order_id}}?at={{system.current_date}}"


def refused(**config: Any) -> list[tuple[str, str]]:
    """Return what is wrong with a bot's config, by field."""
    with pytest.raises(ValidationError) as caught:
        BotConfig.model_validate(config)
    return [
        (".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, "))
        for each in caught.value.errors()
    ]


def test_both_of_the_familys_forms_are_one_tool() -> None:
    function = {"name": "find_order", "description": "Finds.", "parameters": SCHEMA}
    nested = HttpTool.model_validate({"type": "function", "function": function, "url": URL})
    flat = HttpTool.model_validate({"type": "function", **function, "url": URL})
    assert nested == flat
    assert nested.model_extra == {}
    assert (nested.name, nested.description, nested.parameters) == ("find_order", "Finds.", SCHEMA)
    assert HttpTool.model_validate(nested.model_dump(mode="json")) == nested


def test_tool_has_defaults_for_a_telephone_call() -> None:
    tool = HttpTool(name="find_order", url="https://api.example/")
    assert (tool.method, tool.timeout_s, tool.pre_message) == ("POST", 8.0, "")
    assert (tool.max_result_chars, tool.is_intent) == (4000, False)
    assert HttpTool(name="a", url="http://a", method="get").method == "GET"


def test_unknown_keys_are_kept() -> None:
    tool = HttpTool.model_validate({"name": "a", "url": "https://a.example/", "shiny": 1})
    server = McpServer.model_validate({"name": "a", "url": "https://a.example/", "shiny": 1})
    assert tool.model_dump()["shiny"] == server.model_dump()["shiny"] == 1


def test_tool_knows_the_arguments_that_it_sends() -> None:
    tool = HttpTool.model_validate(
        {
            "name": "move",
            "url": "https://api.example/{{args.order_id}}",
            "headers": {"X-Who": "{{args.who}} {{call.caller_id}}"},
            "query": {"to": ["{{ args.to.city }}"]},
            "body": {"deep": [{"why": "because {{args.why}}"}, 7]},
            "parameters": {"type": "object"},
        }
    )
    assert tool.arguments_named() == {"order_id", "who", "to.city", "why"}


@pytest.mark.parametrize(
    ("tool", "field", "words"),
    [
        ({"name": "no good", "url": URL}, "name", "String should match"),
        ({"function": {"name": ""}, "url": URL}, "name", "String should match"),
        ({"url": URL}, "name", "Field required"),
        ("find_order", "", "valid dictionary"),
        ({"name": "a"}, "", "url: required, unless is_intent is set"),
        ({"name": "end_call", "url": URL}, "", "end_call is built in"),
        ({"name": "a", "url": "https://{{args.host}}/"}, "url", "only the path and the query"),
        ({"name": "a", "url": "https://a.example:{{args.p}}/"}, "url", "only the path"),
        ({"name": "a", "url": "{{args.scheme}}://a.example/"}, "url", "only the path"),
        ({"name": "a", "url": "https://a.example{{args.tail}}"}, "url", "only the path"),
        ({"name": "a", "url": "file:///etc/passwd"}, "url", "only http and https"),
        ({"name": "a", "url": "api.example/orders"}, "url", "only http and https"),
        ({"name": "a", "url": "https:///orders"}, "url", "only http and https"),
        ({"name": "a", "url": "https://a.example:99999/"}, "url", "not a URL"),
        ({"name": "a", "url": "https://[a.example/"}, "url", "not a URL"),
        ({"name": "a", "url": "https://a.example/ b"}, "url", "holds no blanks"),
        ({"name": "a", "url": "https://a.example\\@b.example/"}, "url", "holds no blanks"),
        ({"name": "a", "url": "https://me:pw@a.example/"}, "url", "no user and password"),
        ({"name": "a", "url": URL, "method": "TRACE"}, "method", "Input should be"),
        ({"name": "a", "url": URL, "method": 7}, "method", "Input should be"),
        ({"name": "a", "url": URL, "headers": {"A b": "c"}}, "headers", "cannot be sent"),
        ({"name": "a", "url": URL, "headers": {"A": "b\r\nC: d"}}, "headers", "cannot be sent"),
        ({"name": "a", "url": URL, "headers": {"Host": "b"}}, "headers", "not for a bot to set"),
        ({"name": "a", "url": URL, "query": {"a": {"b": 1}}}, "query", "'a' is neither a value"),
        ({"name": "a", "url": URL, "query": {"a": [[1]]}}, "query", "'a' is neither a value"),
        ({"name": "a", "url": URL, "timeout_s": 0}, "timeout_s", "greater than 0"),
        ({"name": "a", "url": URL, "body": "{}"}, "", "body: write it as JSON"),
        ({"name": "a", "url": URL, "method": "GET", "body": {}}, "", "body: not with GET"),
        ({"name": "a", "url": URL, "body_format": "form", "body": [1]}, "", "a form is an object"),
        (
            {"name": "a", "url": URL, "body_format": "form", "body": {"a": {}}},
            "",
            "body: 'a' is neither a value",
        ),
        ({"name": "a", "url": URL, "parameters": {"type": "array"}}, "parameters", "type object"),
        ({"name": "a", "url": URL, "parameters": {}}, "", "there is no property 'order_id'"),
        (
            {"name": "a", "url": URL, "parameters": {"type": "object", "properties": {"id": {}}}},
            "",
            "there is no property 'order_id'",
        ),
    ],
)
def test_malformed_tool_is_refused_by_its_field(tool: Any, field: str, words: str) -> None:
    [(where, why)] = refused(tools=[tool])
    assert where == (f"tools.0.{field}" if field else "tools.0")
    assert words in why


def test_schema_that_is_open_lets_any_argument_be_used() -> None:
    for parameters in ({"type": "object"}, {"properties": {}, "additionalProperties": True}):
        HttpTool(name="a", url=URL, parameters=parameters)


def test_tool_without_a_request_is_an_intent_or_the_platforms() -> None:
    noted = HttpTool(name="wants_refund", is_intent=True)
    described = HttpTool(name="end_call", description="Hang up once they have said goodbye.")
    assert not noted.url + described.url


def test_form_of_lists_and_values_is_accepted() -> None:
    body = {"id": "{{args.order_id}}", "tags": ["a", 1]}
    tool = HttpTool(name="a", url=URL, parameters=SCHEMA, body=body, body_format="form")
    assert tool.body == body


def test_names_are_unique() -> None:
    tool = {"name": "a", "url": "https://a.example/"}
    assert refused(tools=[tool, tool]) == [("tools", "names must be unique: a")]
    assert refused(mcp_servers=[tool, tool]) == [("mcp_servers", "names must be unique: a")]
    both = BotConfig.model_validate({"tools": [tool], "mcp_servers": [tool]})
    assert both.tools[0].name == both.mcp_servers[0].name == "a"


@pytest.mark.parametrize(
    ("server", "field"),
    [
        ({"name": "crm", "url": ""}, "url"),
        ({"name": "crm", "url": "https://{{call.host}}/"}, "url"),
        ({"name": "crm", "url": "https://a.example/", "transport": "stdio"}, "transport"),
        ({"name": "crm", "url": "https://a.example/", "headers": {"Te": "x"}}, "headers"),
        ({"name": "a b", "url": "https://a.example/"}, "name"),
    ],
)
def test_malformed_server_is_refused_by_its_field(server: Any, field: str) -> None:
    [(where, _)] = refused(mcp_servers=[server])
    assert where == f"mcp_servers.0.{field}"
