"""Whose a dialled number is: an external API's word, and what is made of a bad one."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from sidecar.denial import Code, Denied
from sidecar.dialled import Answering, NumberApi, lookup_url_of

Answer = Callable[[httpx.Request], httpx.Response]


async def find(answer: Answer, dialled: str = "+919876543210") -> Answering:
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        source = NumberApi(http, "https://api.example/api/v1/config/", "s3cret", 1.0)
        return await source.find("default", dialled)


@pytest.mark.parametrize(
    ("config_url", "url"),
    [
        ("https://api.example/api/v1/config", "https://api.example/api/v1/sip/lookup"),
        ("https://api.example/api/v1/config/", "https://api.example/api/v1/sip/lookup"),
        ("http://127.0.0.1:9000/config", "http://127.0.0.1:9000/sip/lookup"),
    ],
)
def test_lookup_is_beside_the_config(config_url: str, url: str) -> None:
    assert lookup_url_of(config_url) == url


async def test_number_is_asked_for_with_the_secret() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        told = {"bot_id": "theirs", "carrier_id": "c1", "did_id": "d1"}
        return httpx.Response(200, json=told)

    assert await find(answer) == Answering("theirs")
    [request] = asked
    assert str(request.url) == "https://api.example/api/v1/sip/lookup?number=%2B919876543210"
    assert request.headers["X-VoxCore-Secret"] == "s3cret"


async def test_number_for_a_bots_id_is_text_to_us() -> None:
    assert await find(lambda _: httpx.Response(200, json={"bot_id": 17})) == Answering("17")


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (httpx.Response(404), Code.BOT_UNKNOWN),
        (httpx.Response(200, json={"bot_id": ""}), Code.BOT_UNKNOWN),
        (httpx.Response(403), Code.CONFIG_UNAVAILABLE),
        (httpx.Response(302, headers={"Location": "https://x"}), Code.CONFIG_UNAVAILABLE),
        (httpx.Response(500), Code.CONFIG_UNAVAILABLE),
        (httpx.Response(200, content=b"nonsense"), Code.CONFIG_UNAVAILABLE),
        (httpx.Response(200, json=[]), Code.CONFIG_UNAVAILABLE),
        (httpx.Response(200, json={}), Code.CONFIG_UNAVAILABLE),
        (httpx.Response(200, json={"bot_id": None}), Code.CONFIG_UNAVAILABLE),
        (httpx.Response(200, json={"bot_id": {"a": 1}}), Code.CONFIG_UNAVAILABLE),
        (httpx.Response(200, json={"bot_id": "b" * 201}), Code.CONFIG_UNAVAILABLE),
        (httpx.Response(200, content=json.dumps("bot_id")), Code.CONFIG_UNAVAILABLE),
    ],
)
async def test_answer_that_names_no_bot_is_a_refusal(response: httpx.Response, code: Code) -> None:
    with pytest.raises(Denied) as denied:
        await find(lambda _: response)
    assert denied.value.code is code


async def test_api_that_is_away_is_unavailable() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down", request=request)

    with pytest.raises(Denied) as denied:
        await find(answer)
    assert denied.value.code is Code.CONFIG_UNAVAILABLE
