"""What a CRM is asked, over real HTTP, and what its answer, or the lack of one, comes to."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from contracts.bot import BotConfig, CrmPrefetch
from sidecar.crm import (
    MAX_ANSWER_BYTES,
    Crm,
    Failure,
    PrefetchFailed,
    fields_of,
    question_of,
    wanted,
)
from sidecar.egress import EgressGuard
from tests.fakes.crm import FakeCrm, running_crm

VARIABLES = {"call.caller_id": "+91 98/7&x=1", "call.name": "Zoë\r\nX-Evil: 1", "call.dots": ".."}


@pytest.fixture
async def crm() -> AsyncIterator[FakeCrm]:
    async with running_crm(answer={"customer_name": "Asha", "due": 15000}) as crm:
        yield crm


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield http


async def ask(
    http: httpx.AsyncClient, patience_s: float = 5.0, *, allow_private: bool = True, **asked: Any
) -> dict[str, Any]:
    crm = Crm(http, EgressGuard(allow_private=allow_private))
    return await crm.fields(CrmPrefetch(**asked), VARIABLES, patience_s)


async def failure(http: httpx.AsyncClient, *args: Any, **asked: Any) -> PrefetchFailed:
    with pytest.raises(PrefetchFailed) as caught:
        await ask(http, *args, **asked)
    return caught.value


async def test_answer_is_the_fields(crm: FakeCrm, http: httpx.AsyncClient) -> None:
    url = f"{crm.url}/customers/{{{{call.caller_id}}}}?phone={{{{caller_id}}}}&x={{{{call.none}}}}"
    found = await ask(http, url=url, token="Bearer t0k", headers={"X-Name": "{{call.name}}"})
    assert found == {"customer_name": "Asha", "due": 15000}
    (asked,) = crm.asked
    assert (asked.method, asked.body) == ("GET", b"")
    assert asked.path == "/customers/%2B91%2098%2F7%26x%3D1"
    assert asked.query == {"phone": "+91 98/7&x=1", "x": ""}
    assert asked.headers["Authorization"] == "Bearer t0k"
    assert asked.headers["Connection"] == "close"
    assert asked.headers["X-Name"] == "ZoëX-Evil: 1"
    assert "X-Evil" not in asked.headers
    assert asked.headers["Host"] == crm.url.removeprefix("http://")


async def test_post_sends_its_body_filled_in(crm: FakeCrm, http: httpx.AsyncClient) -> None:
    body = {"lookup": [{"phone": "{{call.caller_id}}", "limit": 1}]}
    await ask(http, url=crm.url, method="POST", body=body)
    (asked,) = crm.asked
    assert asked.method == "POST"
    assert json.loads(asked.body) == {"lookup": [{"phone": "+91 98/7&x=1", "limit": 1}]}
    assert asked.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_any_other_status_is_a_failure(
    crm: FakeCrm, http: httpx.AsyncClient, status: int
) -> None:
    crm.status, crm.answer = status, "{}"
    failed = await failure(http, url=crm.url)
    assert (failed.failure, failed.detail) == (Failure.STATUS, {"status": status})
    assert len(crm.asked) == 1


async def test_slow_crm_is_cut(crm: FakeCrm, http: httpx.AsyncClient) -> None:
    crm.delay_s = 5.0
    assert (await failure(http, 0.05, url=crm.url)).failure is Failure.TIMEOUT
    assert (await failure(http, url=crm.url, timeout_s=0.05)).failure is Failure.TIMEOUT


async def test_trickling_crm_is_cut(crm: FakeCrm, http: httpx.AsyncClient) -> None:
    crm.trickles = True
    assert (await failure(http, 0.1, url=crm.url)).failure is Failure.TIMEOUT


async def test_too_big_an_answer_is_not_read_to_its_end(
    crm: FakeCrm, http: httpx.AsyncClient
) -> None:
    crm.answer = {"a": "x" * MAX_ANSWER_BYTES}
    assert (await failure(http, url=crm.url)).failure is Failure.TOO_BIG


async def test_answer_is_not_unpacked() -> None:
    packed = httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(gzip.compress(b"{}"))
    )
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: packed)) as http:
        assert (await failure(http, url="http://127.0.0.1/")).failure is Failure.NOT_JSON


async def test_private_address_is_refused_unless_allowed(
    crm: FakeCrm, http: httpx.AsyncClient
) -> None:
    failed = await failure(http, url=crm.url, allow_private=False)
    assert failed.failure is Failure.REFUSED
    assert crm.asked == []


async def test_crm_that_is_away_is_unreachable(http: httpx.AsyncClient) -> None:
    failed = await failure(http, url="http://127.0.0.1:1/")
    assert (failed.failure, failed.detail) == (Failure.UNREACHABLE, {"error": "ConnectError"})


async def test_no_url_and_no_value_is_in_what_a_failure_tells(http: httpx.AsyncClient) -> None:
    url = "http://127.0.0.1:1/secret-path/{{call.caller_id}}"
    failed = await failure(http, url=url, token="Bearer t0k")
    told = f"{failed} {failed.detail}"
    assert not any(word in told for word in ("secret", "98", "t0k"))


ANSWER = json.dumps({"data": {"customers": [{"name": "Asha"}, 5]}, "list": [1]}).encode()


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("", json.loads(ANSWER)),
        ("data", {"customers": [{"name": "Asha"}, 5]}),
        ("data.customers.0", {"name": "Asha"}),
    ],
)
def test_fields_are_where_the_path_leads(path: str, fields: dict[str, Any]) -> None:
    assert fields_of(ANSWER, path) == fields


@pytest.mark.parametrize(
    ("answer", "path", "why"),
    [
        (ANSWER, "data.customers", Failure.PATH_MISSING),
        (ANSWER, "data.customers.1", Failure.PATH_MISSING),
        (ANSWER, "data.customers.2", Failure.PATH_MISSING),
        (ANSWER, "data.customers.x", Failure.PATH_MISSING),
        (ANSWER, "nowhere.at.all", Failure.PATH_MISSING),
        (ANSWER, "list.9999999999", Failure.PATH_MISSING),
        (b"[1]", "", Failure.PATH_MISSING),
        (b"null", "", Failure.PATH_MISSING),
        (b"<html>", "", Failure.NOT_JSON),
        (b"", "", Failure.NOT_JSON),
        (b'{"a": NaN}', "", Failure.NOT_JSON),
        (b"[" * 100_000, "", Failure.NOT_JSON),
    ],
)
def test_answer_without_fields_is_a_failure(answer: bytes, path: str, why: Failure) -> None:
    with pytest.raises(PrefetchFailed) as caught:
        fields_of(answer, path)
    assert caught.value.failure is why


def test_value_cannot_climb_the_path() -> None:
    prefetch = CrmPrefetch(url="https://crm.example/customers/{{call.dots}}/orders")
    assert question_of(prefetch, VARIABLES).url == "https://crm.example/customers//orders"


def test_token_stands_above_a_header_of_its_name() -> None:
    prefetch = CrmPrefetch(
        url="https://crm.example", token="Bearer new", headers={"authorization": "old"}
    )
    assert question_of(prefetch, {}).headers == {"Authorization": "Bearer new"}


@pytest.mark.parametrize(
    ("event", "asked"),
    [
        ({}, True),
        ({"_skip_prefetch": True}, False),
        ({"_skip_prefetch": "false"}, True),
        ({"_mock_crm": {"name": "Test"}}, False),
        ({"_mock_crm": None}, True),
    ],
)
def test_campaigns_may_say_that_nothing_is_asked(event: dict[str, Any], asked: bool) -> None:
    config = BotConfig(crm_prefetch=CrmPrefetch(url="https://crm.example"))
    assert (wanted(config, event) is not None) is asked


def test_bot_without_a_crm_asks_nobody() -> None:
    assert wanted(BotConfig(), {}) is None
    assert wanted(BotConfig(crm_prefetch=CrmPrefetch()), {}) is None
