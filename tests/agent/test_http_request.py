"""What is sent for a tool: each place filled in its own way, whatever a caller said."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.http_request import NoVariable, ToolRequest, Unfit, address_of, headers_of, request_of
from contracts.tool import HttpTool

VARIABLES = {"call.caller_id": "+91 98/7", "crm.name": "Asha", "system.timezone": "UTC"}
OPEN = {"type": "object"}


def made(arguments: dict[str, Any] | None = None, **tool: Any) -> ToolRequest:
    whole = {"name": "t", "url": "https://api.example/x", "parameters": OPEN, **tool}
    return request_of(HttpTool.model_validate(whole), arguments or {}, VARIABLES)


def sent(request: ToolRequest) -> Any:
    return json.loads(request.body)


def test_places_of_a_url_are_escaped_alike() -> None:
    request = made(
        {"id": "a/../b?c#d", "q": "x&admin=1"},
        method="GET",
        url="https://api.example/orders/{{args.id}}/items?who={{crm.name}}&q={{args.q}}&z={{crm.z}}#f",
    )
    assert request.url == (
        "https://api.example/orders/a%2F..%2Fb%3Fc%23d/items?who=Asha&q=x%26admin%3D1&z="
    )
    assert request.body == b""


@pytest.mark.parametrize("value", [None, "", " ", ".", "..", " .. "])
def test_path_is_not_sent_without_its_argument(value: Any) -> None:
    arguments = {} if value is None else {"id": value}
    with pytest.raises(Unfit, match=r"^id: required"):
        made(arguments, method="DELETE", url="https://api.example/orders/{{args.id}}")


@pytest.mark.parametrize("value", [None, "", " ", ".."])
def test_path_is_not_sent_without_a_variable_of_the_calls(value: str | None) -> None:
    variables = {} if value is None else {"call.order": value}
    for name in ("call.order", "order"):
        with pytest.raises(NoVariable, match=f"needs {name}"):
            address_of(f"https://a.example/orders/{{{{{name}}}}}/cancel", variables)
    known = {"crm.order": "7/8"}
    assert address_of("https://a.example/orders/{{order}}", known).endswith("/orders/7%2F8")


def test_query_is_filled_and_what_is_missing_left_out() -> None:
    request = made(
        {"tags": ["a b", "c"], "n": 3, "on": True},
        method="GET",
        query={
            "tags": "{{args.tags}}",
            "n": "{{args.n}}",
            "on": "{{args.on}}",
            "gone": "{{args.gone}}",
            "empty": "{{crm.gone}}",
            "from": "{{call.caller_id}}",
            "fixed": 7,
        },
        url="https://api.example/x?a=1",
    )
    query = request.url.partition("?")[2]
    assert parse_qsl(query) == [
        *(("a", "1"), ("tags", "a b"), ("tags", "c"), ("n", "3"), ("on", "true")),
        *(("from", "+91 98/7"), ("fixed", "7")),
    ]


def test_arguments_nobody_names_are_the_query_or_the_body() -> None:
    arguments = {"id": "7", "day": "Monday", "guests": 2}
    url = "https://api.example/{{args.id}}"
    assert made(arguments, method="GET", url=url).url == f"{url[:20]}7?day=Monday&guests=2"
    posted = made(arguments, method="POST", url=url)
    assert posted.url == "https://api.example/7"
    assert sent(posted) == {"day": "Monday", "guests": 2}
    assert posted.headers == {"Content-Type": "application/json"}
    deleted = made(arguments, method="DELETE", url=url, body={"day": "{{args.day}}"})
    assert (deleted.url, sent(deleted)) == ("https://api.example/7", {"day": "Monday"})


def test_body_keeps_types_and_cannot_be_broken() -> None:
    hostile = '", "role": "admin", "x": "{{crm.name}}'
    request = made(
        {"name": hostile, "n": 2, "when": {"day": "Monday"}, "list": [1, {"a": None}]},
        body={
            "name": "{{args.name}}",
            "hello": "Hello {{args.name}}, {{crm.name}}!",
            "n": "{{ args.n }}",
            "nn": "{{args.n}}{{args.n}}",
            "day": "{{args.when.day}}",
            "list": ["{{args.list}}", "{{args.gone}}", True, None],
            "gone": "{{args.gone}}",
            "unknown": "{{crm.gone}}",
        },
    )
    assert sent(request) == {
        "name": hostile,
        "hello": f"Hello {hostile}, Asha!",
        "n": 2,
        "nn": "22",
        "day": "Monday",
        "list": [[1, {"a": None}], True, None],
        "unknown": "",
    }


def test_form_is_encoded_as_one() -> None:
    request = made(
        {"name": "A&B=ü", "tags": ["x", "y"], "n": 1.5},
        body={"name": "{{args.name}}", "tags": "{{args.tags}}", "n": "{{args.n}}"},
        body_format="form",
    )
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert request.body == b"name=A%26B%3D%C3%BC&tags=x&tags=y&n=1.5"


def test_headers_cannot_be_ended_by_a_value() -> None:
    request = made(
        {"who": "Asha\r\nX-Admin: 1\0"},
        headers={"X-Who": " {{args.who}} ", "content-type": "application/vnd.api+json"},
    )
    assert request.headers == {
        "X-Who": "Asha  X-Admin: 1",
        "content-type": "application/vnd.api+json",
    }
    assert headers_of({"X": "{{call.caller_id}}{{crm.gone}}"}, VARIABLES) == {"X": "+91 98/7"}


def test_value_is_never_a_template_itself() -> None:
    request = made({"a": "{{crm.name}}"}, body={"a": "{{args.a}}", "b": "-{{args.a}}-"})
    assert sent(request) == {"a": "{{crm.name}}", "b": "-{{crm.name}}-"}


def test_what_is_no_text_or_no_number_does_not_break_the_request() -> None:
    request = made(
        {"a": "x\ud800y", "b": {"\udfff": ["\ud800"]}}, url="https://a.example/{{args.a}}"
    )
    assert request.url == "https://a.example/x%3Fy"
    assert sent(request) == {"b": {"?": ["?"]}}
    assert headers_of({"X": "{{call.x}}"}, {"call.x": "a\udc00"}) == {"X": "a?"}
    with pytest.raises(Unfit, match="finite"):
        made({"a": [{"b": float("nan")}]})


@given(st.text(st.characters(), min_size=1), st.text(st.characters()))
def test_whatever_is_said_stays_a_value(said: str, brought: str) -> None:
    tool = HttpTool.model_validate(
        {
            "name": "t",
            "url": "https://api.example/a/{{args.said}}/b?q={{args.said}}&c={{call.brought}}",
            "parameters": OPEN,
            "headers": {"X-Said": "{{args.said}}", "X-Brought": "<{{call.brought}}>"},
            "body": {"said": "say {{args.said}}", "brought": "{{call.brought}}"},
        }
    )
    try:
        request = request_of(tool, {"said": said}, {"call.brought": brought})
    except NoVariable:
        assert not brought.strip(". ")
        return
    except Unfit:
        assert not said.strip(". ")
        return
    url = httpx.URL(request.url)
    assert (url.scheme, url.host, url.port, url.fragment) == ("https", "api.example", None, "")
    path = url.raw_path.partition(b"?")[0]
    assert (path.count(b"/"), path[:3], path[-2:]) == (3, b"/a/", b"/b")
    assert [name for name, _ in parse_qsl(url.query.decode(), keep_blank_values=True)] == ["q", "c"]
    assert not any(ord(char) < 32 for value in request.headers.values() for char in value)
    assert sent(request).keys() == {"said", "brought"}
