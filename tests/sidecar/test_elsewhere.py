"""Control planes that a request names: who gets the secret, is reached, and may answer what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from sidecar.configure import ConfigQuery
from sidecar.denial import Code, Denied
from sidecar.egress import EgressGuard
from sidecar.elsewhere import MAX_ANSWER_BYTES, ConfigUrls
from sidecar.vetting import Vetting
from tests.fakes.keyring import Unkeyed

PUBLIC, PRIVATE = "93.184.216.34", "10.0.0.7"
URL = "https://voice.example/api/v1/config"
CONFIG = {"webhook_url": "https://crm.example/r", "opening_message": "Hello."}


class Api:
    """Answers every request with what it was given, and remembers it."""

    def __init__(self, answer: httpx.Response | Exception, address: str = PUBLIC) -> None:
        self.asked: list[httpx.Request] = []
        self._answer = answer
        self._address = address
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._take))

    def urls(self, *trusted: str) -> ConfigUrls:
        return ConfigUrls(
            self.http,
            EgressGuard(allow_private=False, resolve=self._resolve),
            Vetting(EgressGuard(allow_private=True), Unkeyed()),
            secret="s3cret",
            trusted=trusted,
            timeout_s=3.0,
        )

    async def _resolve(self, host: str, port: int) -> Sequence[str]:
        return [self._address]

    def _take(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


async def test_stranger_is_asked_at_the_address_that_was_checked_without_the_secret() -> None:
    api = Api(httpx.Response(200, json=CONFIG))
    config = await api.urls().at(URL).configs.fetch(ConfigQuery("default", "desk"))
    assert config.opening_message == "Hello."
    (request,) = api.asked
    assert request.url.host == PUBLIC
    assert request.headers["Host"] == "voice.example"
    assert request.extensions["sni_hostname"] == "voice.example"
    assert "X-VoxCore-Secret" not in request.headers


async def test_trusted_origin_gets_the_secret_and_may_be_private() -> None:
    api = Api(httpx.Response(200, json=CONFIG), PRIVATE)
    there = api.urls("https://voice.example").at(URL)
    await there.configs.fetch(ConfigQuery("default", "desk"))
    (request,) = api.asked
    assert (request.url.host, request.headers["X-VoxCore-Secret"]) == ("voice.example", "s3cret")
    # Results go back to where the config is from.
    assert there.configs.results_url == "https://voice.example/api/v1/call-results"


@pytest.mark.parametrize("trusted", ["https://voice.example:8443", "http://voice.example"])
async def test_origin_is_trusted_to_the_letter(trusted: str) -> None:
    api = Api(httpx.Response(200, json=CONFIG))
    await api.urls(trusted).at(URL).configs.fetch(ConfigQuery("default", "desk"))
    assert "X-VoxCore-Secret" not in api.asked[0].headers


async def test_stranger_at_a_private_address_is_not_asked() -> None:
    api = Api(httpx.Response(200, json=CONFIG), PRIVATE)
    there = api.urls().at(URL)
    for asking in (there.configs.fetch(ConfigQuery("default", "desk")), there.outbound("")):
        with pytest.raises(Denied) as denied:
            await asking
        assert denied.value.code is Code.CONFIG_UNAVAILABLE
    assert api.asked == []


async def test_way_out_is_asked_for_beside_the_config() -> None:
    api = Api(httpx.Response(200, json={"trunk_id": "ST_x", "number": "911234567890"}))
    way = await api.urls(URL).at(URL).outbound("+911234567890")
    assert way is not None
    assert (way.trunk.trunk_id, way.trunk.kind, way.from_number) == (
        *("ST_x", "managed"),
        "+911234567890",
    )
    (request,) = api.asked
    assert request.url.path == "/api/v1/sip/outbound-trunk"
    assert request.url.params["from_number"] == "+911234567890"


async def test_without_a_number_any_trunk_is_asked_for() -> None:
    api = Api(httpx.Response(200, json={"trunk_id": "ST_x"}))
    way = await api.urls(URL).at(URL).outbound("")
    assert way is not None
    assert way.from_number == ""
    assert "from_number" not in api.asked[0].url.params


async def test_no_trunk_there_is_no_answer() -> None:
    assert await Api(httpx.Response(404)).urls(URL).at(URL).outbound("") is None


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(302, headers={"Location": "http://10.0.0.7/"}),
        httpx.Response(200, json={}),
        httpx.Response(200, json=[]),
        httpx.Response(200, text="x"),
        httpx.Response(200, json={"trunk_id": ""}),
        httpx.Response(200, json={"trunk_id": "t" * 65}),
        httpx.Response(200, json={"trunk_id": "t", "number": "1\r\nX: y"}),
        httpx.ReadTimeout("slow"),
    ],
)
@pytest.mark.parametrize("trusted", ["", URL])
async def test_answer_that_makes_no_sense_is_a_refusal(answer: Any, trusted: str) -> None:
    with pytest.raises(Denied) as denied:
        await Api(answer).urls(trusted).at(URL).outbound("")
    assert denied.value.code is Code.CONFIG_UNAVAILABLE


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b" " * (MAX_ANSWER_BYTES + 1)),
        httpx.Response(200, content=b"x", headers={"Content-Encoding": "zstd"}),
    ],
    ids=["long", "compressed"],
)
async def test_stranger_cannot_fill_the_memory(answer: httpx.Response) -> None:
    with pytest.raises(Denied) as denied:
        await Api(answer).urls().at(URL).configs.fetch(ConfigQuery("default", "desk"))
    assert denied.value.code is Code.CONFIG_UNAVAILABLE


@pytest.mark.parametrize("url", ["", "ftp://x/", "voice.example", "https://", "http://x:y/"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Denied) as denied:
        Api(httpx.Response(200)).urls().at(url)
    assert denied.value.code is Code.BODY_INVALID
