"""Tools from real MCP servers: how they join, what the model is told, and what may go wrong."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from livekit.agents import llm
from livekit.agents.llm import RawFunctionTool, ToolError

from agent import mcp_tools
from agent.mcp_tools import McpTools
from agent.meanwhile import Meanwhile
from agent.web import Web
from contracts.report import ToolCalled
from contracts.tool import McpServer
from sidecar.client import EgressGuard
from tests.fakes.mcp_script import running_mcp_script
from tests.fakes.mcp_server import running_mcp_server
from tests.fakes.tool_server import running_tool_server
from tests.fakes.tool_use import Uses

OBJECT = {"type": "object"}


class Bench(Uses):
    """The tools of servers, as a bot would have them, and what was told."""

    def __init__(self, *, taken: Sequence[str] = (), **guard: Any) -> None:
        super().__init__()
        self.called: list[ToolCalled] = []
        self.noticed: list[dict[str, Any]] = []
        self.tools: dict[str, llm.Tool] = {}
        self._taken = taken
        self._heard = asyncio.Event()
        web = Web(EgressGuard(**{"allow_private": True, **guard}))
        variables = {"call.caller_id": "+9198"}
        self.servers = McpTools(variables, web, Meanwhile(), self.called.append, self._notice)

    def _notice(self, name: str, **detail: Any) -> None:
        self.noticed.append({"event": name, **detail})
        self._heard.set()

    async def connect(self, url: str, **server: Any) -> dict[str, Any]:
        """Connect to one server, and return what was noticed."""

        async def join(tools: list[llm.Tool]) -> None:
            self.tools |= {tool.id: tool for tool in tools}

        self._heard.clear()
        whole = McpServer.model_validate({"name": "shop", "url": url, **server})
        self.servers.connect([whole], lambda: {*self._taken, *self.tools}, join)
        async with asyncio.timeout(10):
            await self._heard.wait()
        return self.noticed[-1]

    async def told(self, name: str, **arguments: Any) -> Any:
        return await self.use(self.tools[name], **arguments)

    async def failed(self, name: str, **arguments: Any) -> str:
        with pytest.raises(ToolError) as caught:
            await self.told(name, **arguments)
        return str(caught.value.message)

    async def __aenter__(self) -> Bench:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.servers.aclose()


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
async def test_tools_join_and_answer(transport: str) -> None:
    async with running_mcp_server(transport) as server, Bench() as bench:
        headers = {"Authorization": "Bearer s3cret", "X-Caller": "{{call.caller_id}}"}
        noticed = await bench.connect(server.url, transport=transport, headers=headers)
        assert noticed.pop("duration_ms") > 0
        assert noticed == {"event": "mcp_connected", "server": "shop", "tools": 6}
        assert await bench.told("find_order", order_id="7") == "Order 7 is on its way."
        assert server.calls == ["find_order 7"]
        assert server.headers["authorization"] == "Bearer s3cret"
        assert server.headers["x-caller"] == "+9198"
        assert server.headers["host"] == f"127.0.0.1:{server.port}"
    [called] = bench.called
    assert (called.name, called.arguments) == ("find_order", {"order_id": "7"})
    assert (called.result, called.error) == ("Order 7 is on its way.", None)
    assert called.detail == {"server": "shop"}
    assert "s3cret" not in called.model_dump_json()
    find = bench.tools["find_order"]
    assert isinstance(find, RawFunctionTool)
    schema = find.info.raw_schema
    assert schema["description"] == "Finds an order."
    assert schema["parameters"]["required"] == ["order_id"]


async def test_only_allowed_tools_join_and_none_in_the_place_of_the_bots() -> None:
    async with running_mcp_server() as server, Bench(taken=["end_call"]) as bench:
        await bench.connect(server.url, allowed_tools=["end_call", "find_order", "no_such"])
        assert list(bench.tools) == ["find_order", "shop_end_call"]
        assert await bench.told("shop_end_call") == "Ended here."
        # The same server's once more: everything is there already.
        again = await bench.connect(server.url, allowed_tools=["end_call"])
        assert again["tools"] == 0


async def test_results_are_text_and_cut() -> None:
    async with running_mcp_server() as server, Bench() as bench:
        await bench.connect(server.url, max_result_chars=200)
        assert await bench.told("picture") == "Here:\n(image)"
        much = await bench.told("much")
        assert (len(much), much[-5:]) == (200, "(cut)")
        assert "no such order" in await bench.failed("fail")
    assert bench.called[-1].detail == {"failure": "tool_error", "server": "shop"}


async def test_caller_hears_the_line_while_the_tool_works() -> None:
    async with running_mcp_server() as server, Bench() as bench:
        await bench.connect(server.url, pre_message="One moment.")
        server.held.clear()
        telling = asyncio.create_task(bench.told("wait", word="done"))
        async with asyncio.timeout(5):
            while not server.calls:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        assert bench.said == ["One moment."]
        again = asyncio.create_task(bench.told("wait", word="done"))
        server.held.set()
        assert await telling == await again == "done"
    assert server.calls == ["wait done"]


async def test_tool_that_takes_too_long_is_given_up() -> None:
    async with running_mcp_server() as server, Bench() as bench:
        await bench.connect(server.url, timeout_s=0.3)
        server.held.clear()
        words = await bench.failed("wait", word="x")
        assert words.startswith("The server did not answer within 0.3 seconds. Whether it was")
        # The session outlives it.
        assert await bench.told("find_order", order_id="8") == "Order 8 is on its way."
    assert bench.called[0].detail == {"failure": "timeout", "server": "shop"}


async def test_server_that_went_away_is_told_and_taken_up_again() -> None:
    async with Bench() as bench:
        async with running_mcp_server() as server:
            await bench.connect(server.url, timeout_s=2)
            port = server.port
        words = await bench.failed("find_order", order_id="7")
        assert words.startswith("The server cannot be reached.")
        assert bench.called[0].detail == {"failure": "unreachable", "server": "shop"}
        async with running_mcp_server(port=port) as server:
            assert await bench.told("find_order", order_id="7") == "Order 7 is on its way."
            assert server.calls == ["find_order 7"]


async def test_servers_own_word_of_an_error_is_told_and_the_session_goes_on() -> None:
    answers = {
        "book": {"error": {"code": -32602, "message": "the date has passed"}},
        "fall": {"error": {"code": -32603, "message": "Internal error"}},
    }
    tools = [{"name": name, "inputSchema": {"type": "object"}} for name in answers]
    async with running_mcp_script(tools, answers) as url, Bench() as bench:
        await bench.connect(url)
        assert await bench.failed("book") == "the date has passed"
        assert (await bench.failed("fall")).startswith("The server cannot be reached. Whether it")
    assert [called.detail["failure"] for called in bench.called] == ["tool_error", "unreachable"]


async def test_result_is_told_whatever_schema_its_server_has_for_it() -> None:
    for_ever = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    tool = {"name": "find", "inputSchema": {"type": "object"}, "outputSchema": for_ever}
    found = {
        "content": [{"type": "text", "text": "Here."}],
        "structuredContent": {"a": "a" * 60 + "!"},
    }
    async with running_mcp_script([tool], {"find": {"result": found}}) as url, Bench() as bench:
        await bench.connect(url)
        assert await bench.told("find") == "Here."


def offered(name: Any, schema: Any = OBJECT, **more: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": schema, **more}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return {**OBJECT, **schema}


async def test_tool_that_a_vendor_would_refuse_is_left_out_alone() -> None:
    tools = [
        offered("first", {**OBJECT, "properties": {"again": {"$ref": "#"}}}),
        *("no tool", {}, offered(""), offered(7), offered(None)),
        offered("bare", None),
        offered("list", []),
        offered("text", {"type": "string"}),
        offered("odd", {**OBJECT, "properties": {"id": {"type": "word"}}}),
        offered("elsewhere", {**OBJECT, "$ref": "https://tools.example/schema.json"}),
        offered("long", {**OBJECT, "description": "x" * 30_000}),
        offered("deep", nested(180)),
        offered("circle", {**OBJECT, "$ref": "#"}),
        offered("number", {**OBJECT, "maximum": float("nan")}),
        offered("first"),
        offered("a b"),
        offered("a.b"),
        offered("a?b"),
        offered("last", description="x" * 500_000),
        offered("quiet", description=7),
    ]
    async with running_mcp_script(tools) as url, Bench() as bench:
        noticed = await bench.connect(url)
    assert list(bench.tools) == ["first", "a_b", "shop_a_b", "last", "quiet"]
    assert noticed["tools"] == 5
    assert [(each["tool"], each["why"][:22]) for each in noticed["left_out"]] == [
        *[("", "it has no name")] * 5,
        ("bare", "it has no schema"),
        ("list", "it has no schema"),
        ("text", "the schema of argument"),
        ("odd", "not a JSON schema: pro"),
        ("elsewhere", "a schema may refer to "),
        ("long", "its schema is longer t"),
        ("deep", "the schema is too deep"),
        ("circle", "$ref: '#' leads nowher"),
        ("number", "its schema has a numbe"),
        ("first", "it is listed twice"),
        ("a?b", "its name is taken"),
    ]
    last = bench.tools["last"]
    assert isinstance(last, RawFunctionTool)
    assert len(last.info.raw_schema["description"]) == 2000


async def test_tools_are_listed_page_by_page() -> None:
    def page(cursor: str | None) -> dict[str, Any]:
        number = int(cursor or 0)
        more = {"nextCursor": str(number + 1)} if number < 4 else {}
        return {"tools": [offered(f"t{number}_{each}") for each in range(15)], **more}

    async with running_mcp_script([], page=page) as url, Bench() as bench:
        noticed = await bench.connect(url)
        assert len(bench.tools) == noticed["tools"] == 64
        assert noticed["left_out"][0] == {"tool": "t4_4", "why": "there are 64 before it"}
        assert len(noticed["left_out"]) == 11
    async with running_mcp_script([], page=page) as url, Bench() as bench:
        await bench.connect(url, allowed_tools=["t0_0", "t4_14"])
        assert list(bench.tools) == ["t0_0", "t4_14"]


@pytest.mark.parametrize(
    ("cursors", "pages"),
    [
        (itertools.repeat("again"), 2),
        (itertools.cycle("ab"), 3),
        (map(str, itertools.count()), 16),
        (itertools.repeat("x" * 100_000), 1),
        (itertools.repeat({"odd": 1}), 1),
        (itertools.repeat(""), 1),
    ],
    ids=["one", "two", "ever new", "huge", "no text", "empty"],
)
async def test_list_without_an_end_is_left_off(cursors: Iterator[Any], pages: int) -> None:
    asked: list[Any] = []

    def page(cursor: Any) -> dict[str, Any]:
        asked.append(cursor)
        return {"tools": [offered(f"t{len(asked)}")], "nextCursor": next(cursors)}

    async with running_mcp_script([], page=page) as url, Bench() as bench:
        noticed = await bench.connect(url)
    assert noticed["tools"] == len(asked) == pages


async def test_server_whose_path_lacks_a_variable_is_left_out() -> None:
    async with Bench() as bench:
        noticed = await bench.connect("http://127.0.0.1:9/{{crm.typo}}/mcp")
    assert noticed == {"event": "mcp_unavailable", "server": "shop", "failure": "variables"}


async def test_schemas_are_judged_beside_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile one takes a second, in which a caller would hear nothing."""
    threads: list[threading.Thread] = []

    def judge(schema: Mapping[str, Any]) -> str | None:
        threads.append(threading.current_thread())
        return None

    monkeypatch.setattr(mcp_tools, "schema_fault", judge)
    async with running_mcp_script([offered("find")]) as url, Bench() as bench:
        await bench.connect(url)
    [judged_in] = threads
    assert judged_in is not threading.current_thread()


async def test_server_that_does_not_answer_is_left_out() -> None:
    async with running_mcp_server() as server, Bench() as bench:
        server.silent = True
        noticed = await bench.connect(server.url, connect_timeout_s=0.2)
        assert noticed == {"event": "mcp_unavailable", "server": "shop", "failure": "timeout"}
        assert bench.tools == {}


@pytest.mark.parametrize(
    "behaviour",
    [
        {"answer": b"no protocol"},
        {"status": 401},
        {"misbehaves": "flood"},
        {"misbehaves": "bomb"},
        {"misbehaves": "reset"},
        {"status": 307, "headers": {"Location": "http://127.0.0.1:9/mcp"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
async def test_server_that_is_none_is_left_out(behaviour: dict[str, Any], transport: str) -> None:
    async with running_tool_server(**behaviour) as server, Bench() as bench:
        noticed = await bench.connect(f"{server.url}/mcp", transport=transport)
        assert noticed == {"event": "mcp_unavailable", "server": "shop", "failure": "unreachable"}


async def test_private_address_is_refused_however_it_is_called() -> None:
    async def inside(host: str, port: int) -> Sequence[str]:
        return ["10.0.0.1"]

    async with Bench(allow_private=False, resolve=inside) as bench:
        noticed = await bench.connect("https://tools.example/mcp")
        assert noticed == {"event": "mcp_unavailable", "server": "shop", "failure": "refused"}


async def test_name_is_looked_up_for_every_request_and_pinned() -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1" if len(asked) < 3 else "10.0.0.1"]

    async with running_mcp_server() as server, Bench(resolve=rebinding) as bench:
        # The name is told; the server's own protection refuses it, so it was connected to.
        noticed = await bench.connect(f"http://tools.example:{server.port}/mcp")
        assert server.headers["host"] == f"tools.example:{server.port}"
        assert noticed["event"] == "mcp_unavailable"
    assert set(asked) == {"tools.example"}
    assert len(asked) >= 2


async def test_calls_end_does_not_wait_for_a_server_that_is_silent() -> None:
    async with running_mcp_server() as server:
        bench = Bench()
        await bench.connect(server.url)
        server.silent = True
        async with asyncio.timeout(3):
            await bench.servers.aclose()
