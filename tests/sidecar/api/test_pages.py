"""`sidecar.api.pages`: what was built is served to any page, and says how long it is good for."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from sidecar.api import errors, pages

MODULE = "export const talk = 1;" * 100
LIVEKIT = "wss://livekit.example:7443"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `make web` makes, in small."""
    dist = tmp_path / "dist"
    (dist / "widget").mkdir(parents=True)
    (dist / "widget.js").write_text("(function(){})();")
    (dist / "dialler.html").write_text("<!doctype html><title>Dialler</title>")
    (dist / "stamp").write_text("not for others")
    (dist / "widget" / "panel-1a2b.js").write_text(MODULE)
    (dist / "widget" / "panel-1a2b.js.gz").write_bytes(gzip.compress(MODULE.encode()))
    (dist / "widget" / "page-3c.css").write_text("p{}")
    return dist


@pytest.fixture
async def http(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The pages alone."""
    app = Starlette(
        routes=pages.routes(folder, LIVEKIT), exception_handlers=errors.EXCEPTION_HANDLERS
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sidecar") as client:
        yield client


async def test_script_is_for_any_page_and_asked_for_again(http: httpx.AsyncClient) -> None:
    answer = await http.get("/widget.js", headers={"Origin": "https://shop.example"})
    assert answer.text == "(function(){})();"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-cache"
    known = await http.get("/widget.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("encoding", ["gzip, br", "identity"])
async def test_module_is_good_for_ever_compressed_or_not(
    http: httpx.AsyncClient, encoding: str
) -> None:
    answer = await http.get("/widget/panel-1a2b.js", headers={"Accept-Encoding": encoding})
    assert answer.text == MODULE
    assert answer.headers.get("content-encoding") == ("gzip" if "gzip" in encoding else None)
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"].endswith("immutable")
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_small_module_is_not_compressed(http: httpx.AsyncClient) -> None:
    answer = await http.get("/widget/page-3c.css", headers={"Accept-Encoding": "gzip"})
    assert answer.text == "p{}"
    assert answer.headers["content-type"].startswith("text/css")


async def test_page_runs_our_scripts_and_meets_livekit_only(http: httpx.AsyncClient) -> None:
    answer = await http.get("/dialler")
    assert answer.headers["content-type"].startswith("text/html")
    policy = dict(
        each.split(" ", 1) for each in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == (
        "'self' wss://livekit.example:7443 https://livekit.example:7443"
    )
    assert policy["frame-ancestors"] == "'none'"


@pytest.mark.parametrize(
    "path",
    [
        "/widget/gone.js",
        "/widget/..%2Fstamp",
        "/widget/%2e%2e%2fstamp",
        "/widget/",
        "/stamp",
        "/widget/%00",
    ],
)
async def test_anything_else_is_not_there(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", ["/widget.js", "/widget/panel-1a2b.js"])
async def test_missing_build_says_what_to_do(
    http: httpx.AsyncClient, folder: Path, path: str
) -> None:
    folder.rename(folder.with_name("elsewhere"))
    answer = await http.get(path)
    assert answer.status_code == 404
    assert "make web" in answer.json()["error"]["message"]
    page = await http.get("/dialler")
    assert page.status_code == 503
    assert "make web" in page.text


async def test_build_that_comes_later_is_served(http: httpx.AsyncClient, folder: Path) -> None:
    away = folder.with_name("elsewhere")
    folder.rename(away)
    assert (await http.get("/widget.js")).status_code == 404
    away.rename(folder)
    assert (await http.get("/widget.js")).status_code == 200
