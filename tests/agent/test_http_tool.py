"""A bot's own HTTP tools: what the model is told, what is kept, and that nothing runs twice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from livekit.agents.llm import RawFunctionTool, ToolError

from agent.http_tool import HttpTools, found_in, shown
from agent.meanwhile import Meanwhile
from agent.tools import ToolFailed
from agent.web import Answer, Web
from contracts.report import Report, Source, ToolCalled
from contracts.tool import HttpTool
from sidecar.client import EgressGuard
from tests.fakes.spoken_call import CALL_ID, plan
from tests.fakes.tool_server import ToolServer, running_tool_server
from tests.fakes.tool_use import Uses

ORDER = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "why": {"type": "string"}},
    "required": ["id"],
}


class Bench(Uses):
    """One tool, its server and what was reported."""

    def __init__(self, server: ToolServer, *, allow_private: bool = True, **tool: Any) -> None:
        super().__init__()
        self.called: list[ToolCalled] = []
        self.intents: list[tuple[str, float, dict[str, Any]]] = []
        self.meanwhile = Meanwhile()
        self.web = Web(EgressGuard(allow_private=allow_private))
        call = plan().model_copy(update={"variables": {"crm.name": "Asha"}})
        tools = HttpTools(
            call,
            self.web,
            self.meanwhile,
            self.called.append,
            lambda *how: self.intents.append(how),
        )
        whole = {"name": "find", "url": f"{server.url}/orders", "parameters": ORDER, **tool}
        self.tool = tools.tool(HttpTool.model_validate(whole))

    async def told(self, **arguments: Any) -> Any:
        return await self.use(self.tool, **arguments)

    async def failed(self, **arguments: Any) -> str:
        with pytest.raises(ToolError) as caught:
            await self.told(**arguments)
        return str(caught.value.message)


async def test_model_is_told_the_answer_and_it_is_kept() -> None:
    async with running_tool_server(answer={"status": "shipped", "to": "Köln"}) as server:
        bench = Bench(server, headers={"X-Key": "s3cret"}, description="Finds orders.")
        assert await bench.told(id="7") == '{"status": "shipped", "to": "Köln"}'
    [asked] = server.asked
    assert json.loads(asked.body) == {"id": 7}
    assert asked.headers["X-Key"] == "s3cret"
    assert asked.headers["Idempotency-Key"] == f"{CALL_ID}-1-1"
    [called] = bench.called
    assert (called.name, called.arguments) == ("find", {"id": "7"})
    assert called.result == {"status": "shipped", "to": "Köln"}
    assert (called.error, called.detail) == (None, {"status": 200})
    assert called.duration_ms > 0
    assert "s3cret" not in called.model_dump_json()
    assert isinstance(bench.tool, RawFunctionTool)
    assert bench.tool.info.raw_schema == {
        "name": "find",
        "description": "Finds orders.",
        "parameters": ORDER,
    }


@pytest.mark.parametrize("use_id", ["", "call_0", "a\nb"])
async def test_uses_are_told_apart_whatever_the_model_calls_them(use_id: str) -> None:
    async with running_tool_server() as server:
        bench = Bench(server)
        bench.use_id = use_id
        for number in (1, 2):
            await bench.told(id=number)
    keys = [asked.headers["Idempotency-Key"] for asked in server.asked]
    assert keys == [f"{CALL_ID}-1-1", f"{CALL_ID}-1-2"]


async def test_report_of_an_answer_can_be_read_however_deep_that_is() -> None:
    deep = b"[" * 200 + b"]" * 200
    async with running_tool_server(answer=deep, content_type="application/json") as server:
        bench = Bench(server, parameters={})
        arguments: dict[str, Any] = {}
        for _ in range(198):
            arguments = {"a": arguments}
        assert await bench.told(**arguments) == deep.decode()
    report = Report(source=Source.AGENT, incarnation=1, seq=1, facts=[bench.called[0]])
    [read] = Report.model_validate_json(report.model_dump_json()).facts
    assert isinstance(read, ToolCalled)
    assert json.dumps(read.result).count("[") == 200


async def test_tool_without_parameters_takes_none() -> None:
    async with running_tool_server(answer=b"open", content_type="text/plain") as server:
        bench = Bench(server, parameters={}, method="GET")
        assert await bench.told() == "open"
    assert isinstance(bench.tool, RawFunctionTool)
    assert bench.tool.info.raw_schema["parameters"] == {"type": "object", "properties": {}}
    assert "Idempotency-Key" not in server.asked[0].headers


async def test_arguments_are_judged_before_anything_is_sent() -> None:
    async with running_tool_server() as server:
        bench = Bench(server, is_intent=True, pre_message="One moment.")
        words = await bench.failed(why="late")
        assert words == "Nothing was done: 'id' is a required property"
        assert "id: 'x' is not of type 'integer'" in await bench.failed(id="x")
        path = Bench(server, url=f"{server.url}/{{{{args.why}}}}")
        assert await path.failed(id=1) == "Nothing was done: why: required, and not empty"
    assert (server.asked, bench.intents, bench.said) == ([], [], [])
    assert [called.detail for called in bench.called] == [{"failure": "arguments"}] * 2
    assert path.called[0].error == "Nothing was done: why: required, and not empty"


async def test_path_that_lacks_a_variable_of_the_calls_is_not_sent() -> None:
    async with running_tool_server() as server:
        bench = Bench(server, url=f"{server.url}/orders/{{{{crm.typo}}}}/cancel", parameters={})
        words = await bench.failed()
    assert words == "Nothing was done: the address needs crm.typo, which is not known on this call"
    assert (server.asked, bench.called[0].detail) == ([], {"failure": "variables"})


@pytest.mark.parametrize(
    ("behaviour", "tool", "words", "detail"),
    [
        ({"misbehaves": "hang"}, {}, "did not answer within 0.2 seconds. Whether it was done", {}),
        ({"misbehaves": "drip"}, {"method": "GET"}, "did not answer within 0.2 seconds.", {}),
        ({"misbehaves": "reset"}, {}, "cannot be reached. Whether it was done is not known", {}),
        ({"misbehaves": "flood"}, {"timeout_s": 5}, "answer cannot be read. Whether", {}),
        ({"misbehaves": "bomb"}, {"method": "GET", "timeout_s": 5}, "answer cannot be read.", {}),
        ({"status": 503}, {}, "The server failed with status 503.", {"status": 503}),
        ({"status": 302, "headers": {"Location": "/x"}}, {}, "with status 302.", {"status": 302}),
        (
            {"status": 409, "answer": {"error": "that time is taken"}},
            {},
            'with status 409: {"error": "that time is taken"}',
            {"status": 409},
        ),
        (
            {"status": 404, "answer": b"<html>", "content_type": "text/html"},
            {},
            "The server refused the request with status 404.",
            {"status": 404},
        ),
        (
            {"answer": b"{", "content_type": "application/json"},
            {},
            "cannot be read.",
            {"status": 200},
        ),
        ({"answer": b"\xff\xfe"}, {}, "cannot be read.", {"status": 200}),
        ({"answer": b"plain"}, {"result_path": "a"}, "cannot be read.", {"status": 200}),
        ({"answer": {"b": 1}}, {"result_path": "a"}, "has nothing about this.", {"status": 200}),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else None,
)
async def test_failure_is_told_in_words(
    behaviour: dict[str, Any], tool: dict[str, Any], words: str, detail: dict[str, Any]
) -> None:
    async with running_tool_server(**behaviour) as server:
        bench = Bench(server, **{"timeout_s": 0.2 if "misbehaves" in behaviour else 5, **tool})
        assert words in await bench.failed(id=1)
        assert len(server.asked) == 1
    [called] = bench.called
    assert called.error is not None
    assert called.detail.pop("failure")
    called.detail.pop("detail", None)
    assert called.detail == detail


async def test_reading_again_is_no_risk_doing_again_is() -> None:
    async with running_tool_server(misbehaves="hang") as server:
        reading = await Bench(server, method="GET", timeout_s=0.1).failed(id=1)
        doing = await Bench(server, method="PATCH", timeout_s=0.1).failed(id=1)
    assert not reading.endswith("again.")
    assert doing.endswith("do not simply do it again.")


async def test_server_that_is_away_or_forbidden_was_asked_nothing() -> None:
    async with running_tool_server() as server:
        bench = Bench(server, allow_private=False)
        assert await bench.failed(id=1) == (
            "This tool may not be used: its address is not allowed."
        )
        away = Bench(server)
    assert await away.failed(id=1) == "The server cannot be reached."
    assert bench.called[0].detail["failure"] == "refused"
    assert away.called[0].detail == {"failure": "unreachable", "detail": "ConnectError"}


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("", b'{"a": 1}', {"a": 1}),
        ("", b"\xef\xbb\xbf[1]", [1]),
        ("", b"", "Done."),
        ("", b"It is open.", "It is open."),
        ("data.orders.1.id", b'{"data": {"orders": [{"id": 1}, {"id": 2}]}}', 2),
        ("a", b'{"a": null}', None),
    ],
)
def test_part_of_an_answer_is_found(path: str, body: bytes, found: Any) -> None:
    assert found_in(Answer(200, "", body), path) == found


@pytest.mark.parametrize("path", ["a.2", "a.-1", "a.x", "b", "a.0.c", "a.99999999999999999999"])
def test_part_that_is_not_there_is_told(path: str) -> None:
    with pytest.raises(ToolFailed, match="nothing about this"):
        found_in(Answer(200, "", b'{"a": [1, 2]}'), path)


def test_result_is_cut_to_what_a_model_can_take() -> None:
    whole = shown({"a": "x" * 50}, 100)
    assert whole.value == {"a": "x" * 50}
    cut = shown({"a": "x" * 500}, 100)
    assert len(cut.text) == 100
    assert cut.text.endswith("… (cut)")
    assert cut.value == cut.text


async def test_caller_hears_the_line_while_the_request_is_under_way() -> None:
    async with running_tool_server(answer={"ok": True}) as server:
        server.held.clear()
        bench = Bench(server, pre_message="Let me look up {{args.id}} for {{crm.name}}{{crm.x}}.")
        telling = asyncio.create_task(bench.told(id=7))
        async with asyncio.timeout(5):
            await server.came.wait()
        assert bench.said == ["Let me look up 7 for Asha."]
        assert bench.meanwhile.is_waiting
        server.held.set()
        assert await telling == '{"ok": true}'
    assert not bench.meanwhile.is_waiting


async def test_same_request_is_not_made_twice_at_a_time() -> None:
    async with running_tool_server(answer={"ok": True}) as server:
        server.held.clear()
        bench = Bench(server)
        first = asyncio.create_task(bench.told(id=7))
        async with asyncio.timeout(5):
            await server.came.wait()
        again = asyncio.create_task(bench.told(id="7"))
        server.held.set()
        assert await first == await again
    assert len(server.asked) == 1
    assert [called.detail for called in bench.called] == [
        {"status": 200},
        {"status": 200, "joined": True},
    ]


async def test_use_of_an_intent_is_told_even_if_its_server_fails() -> None:
    async with running_tool_server(status=500) as server:
        bench = Bench(server, name="wants_refund", is_intent=True)
        await bench.failed(id=7)
    assert bench.intents == [("wants_refund", 1.0, {"id": 7})]


async def test_intent_alone_needs_no_server() -> None:
    bench = Bench(ToolServer(), url="", is_intent=True)
    assert await bench.told(id=7) == "Noted."
    assert bench.intents == [("find", 1.0, {"id": 7})]
    assert bench.called[0].result == "Noted."
