"""Requests to whom a bot names: where they may go, and how little a hostile server can do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from agent.http_request import ToolRequest
from agent.web import MAX_ANSWER_BYTES, Answer, AskFailed, Failure, Web
from sidecar.client import EgressGuard
from tests.fakes.tool_server import ToolServer, running_tool_server

SOON_S = 5.0


def at(url: str, method: str = "POST", **headers: str) -> ToolRequest:
    return ToolRequest(method, url, headers, b"{}")


async def ask(request: ToolRequest, timeout_s: float = SOON_S, **guard: Any) -> Answer:
    web = Web(EgressGuard(**{"allow_private": True, **guard}))
    try:
        return await web.ask(request, timeout_s)
    finally:
        await web.aclose()


async def failed(request: ToolRequest, timeout_s: float = SOON_S, **guard: Any) -> AskFailed:
    with pytest.raises(AskFailed) as caught:
        await ask(request, timeout_s, **guard)
    return caught.value


async def test_answer_comes_as_it_is() -> None:
    async with running_tool_server(answer=b"\xff\x00", status=418) as server:
        answer = await ask(at(f"{server.url}/a%2Fb?c=d", Accept="text/plain", **{"X-K": "ü"}))
    assert answer == Answer(418, "application/octet-stream", b"\xff\x00")
    assert not answer.is_success
    [asked] = server.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/a%2Fb", [("c", "d")])
    assert asked.body == b"{}"
    assert asked.headers["Accept"] == "text/plain"
    assert asked.headers["Accept-Encoding"] == "identity"
    assert asked.headers["X-K"].encode("utf-8", "surrogateescape") == "ü".encode()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://[::1]/", "http://169.254.169.254/"])
async def test_private_addresses_are_refused(url: str) -> None:
    error = await failed(at(url), allow_private=False)
    assert (error.failure, error.is_sent) == (Failure.REFUSED, False)


async def test_redirect_is_not_followed() -> None:
    async with running_tool_server() as inner, running_tool_server(status=307) as server:
        server.headers = {"Location": f"{inner.url}/secret"}
        answer = await ask(at(server.url))
    assert answer.status == 307
    assert (len(server.asked), inner.asked) == (1, [])


async def test_name_is_looked_up_once_and_what_passed_is_connected_to() -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        # Public when it is checked; were it looked up again, the machine's own metadata.
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    async with running_tool_server() as server:
        port = server.url.rpartition(":")[2]
        answer = await ask(at(f"http://tools.example:{port}/x"), resolve=rebinding)
    assert answer.is_success
    assert asked == ["tools.example"]
    assert server.asked[0].headers["Host"] == f"tools.example:{port}"


async def test_name_that_leads_inside_by_one_of_its_addresses_is_refused() -> None:
    async def both(host: str, port: int) -> Sequence[str]:
        return ["93.184.215.14", "10.0.0.1"]

    error = await failed(at("http://tools.example/"), allow_private=False, resolve=both)
    assert error.failure is Failure.REFUSED


async def test_unknown_host_is_refused_and_nothing_was_sent() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    error = await failed(at("http://nowhere.example/"), resolve=unknown)
    assert (error.failure, error.is_sent) == (Failure.REFUSED, False)


async def test_server_that_is_away_was_not_told_anything() -> None:
    async with running_tool_server() as server:
        url = server.url
    error = await failed(at(url))
    assert (error.failure, error.detail) == (Failure.UNREACHABLE, "ConnectError")
    assert not error.is_sent


@pytest.mark.parametrize(
    ("misbehaves", "failure"),
    [
        ("hang", Failure.TIMEOUT),
        ("drip", Failure.TIMEOUT),
        ("flood", Failure.TOO_BIG),
        ("bomb", Failure.ENCODED),
        ("reset", Failure.UNREACHABLE),
    ],
)
async def test_hostile_answer_ends_soon_and_small(misbehaves: str, failure: Failure) -> None:
    async with running_tool_server(misbehaves=misbehaves) as server:
        error = await failed(at(server.url), 0.3 if failure is Failure.TIMEOUT else SOON_S)
        assert len(server.asked) == 1
    assert error.failure is failure
    assert error.is_sent


async def test_answer_may_be_as_big_as_the_limit() -> None:
    async with running_tool_server(answer=b"x" * MAX_ANSWER_BYTES) as server:
        assert len((await ask(at(server.url))).body) == MAX_ANSWER_BYTES


async def test_cookies_are_forgotten() -> None:
    async with running_tool_server(headers={"Set-Cookie": "a=b"}) as server:
        web = Web(EgressGuard(allow_private=True))
        await web.ask(at(server.url), SOON_S)
        await web.ask(at(server.url), SOON_S)
        await web.aclose()
    assert all("Cookie" not in asked.headers for asked in server.asked)


async def test_request_that_is_given_up_is_cancelled() -> None:
    async with running_tool_server(misbehaves="hang") as server:
        asking = asyncio.create_task(ask(at(server.url)))
        await until_asked(server)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def until_asked(server: ToolServer) -> None:
    async with asyncio.timeout(SOON_S):
        await server.came.wait()
