"""One error shape for every refusal."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sidecar.api.errors import EXCEPTION_HANDLERS, STATUS, denied_response
from sidecar.denial import Code, Denied
from tests.fakes.sidecar_app import SidecarApp


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(Code)


def test_denial_carries_details_and_retry_after() -> None:
    denied = Denied(Code.AT_CAPACITY, "full", details={"total": 1}, retry_after_s=2)
    response = denied_response(denied)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "2")
    assert bytes(response.body) == (
        b'{"error":{"code":"at_capacity","message":"full","details":{"total":1}},"detail":"full"}'
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/health", 405, "method_not_allowed"),
    ],
)
async def test_routing_errors_have_the_shape(
    sidecar: SidecarApp, method: str, path: str, status: int, code: str
) -> None:
    async with sidecar.http() as http:
        response = await http.request(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


async def test_bug_is_a_500_that_tells_nothing() -> None:
    async def broken(_: Request) -> Response:
        raise RuntimeError("secret inside")

    app = Starlette(routes=[Route("/", broken)], exception_handlers=EXCEPTION_HANDLERS)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        response = await http.get("/")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal")
    assert "secret" not in response.text


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("insert into calls …", {}, Exception("database or disk is full")),
        InterfaceError("select 1", {}, Exception("the connection is closed")),
        OSError(28, "No space left on device"),
        ConnectionRefusedError(111, "Connection refused"),
    ],
)
async def test_store_that_takes_nothing_is_told_so_that_the_sender_keeps_it(
    error: Exception,
) -> None:
    async def broken(_: Request) -> Response:
        raise error

    app = Starlette(routes=[Route("/", broken)], exception_handlers=EXCEPTION_HANDLERS)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        response = await http.get("/")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "store_unavailable")
    assert int(response.headers["Retry-After"]) > 0
