"""The browser's part as it was built: the widget's script, its modules, the dialler page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from sidecar.denial import Code, Denied

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_NOT_BUILT = "the browser's part is not built: run `make web`, or set WEB_DIR"
_NOT_BUILT_PAGE = (
    "<!doctype html><html lang=en><title>Not built</title><h1>This page is not built yet</h1>"
    "<p>On the server run <code>make web</code>, then reload. It needs npm's registry."
)
# Any page may include the widget, and its modules are fetched across origins.
_ANY_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_ASK_AGAIN = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
# A module's name holds a hash of what is in it.
_FOR_EVER = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}


class Modules(StaticFiles):
    """The built modules, each compressed beforehand where that saves anything."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer for one of them."""
        if "gzip" in Request(scope).headers.get("Accept-Encoding", ""):
            name = f"{path}.gz"
            _, found = await asyncio.to_thread(self.lookup_path, name)
            if found is not None:
                packed = await super().get_response(name, scope)
                packed.headers["Content-Encoding"] = "gzip"
                packed.headers["Content-Type"] = _type_of(path)
                packed.headers.update(_FOR_EVER | _ANY_ORIGIN)
                return packed
        plain = await super().get_response(path, scope)
        plain.headers.update(_FOR_EVER | _ANY_ORIGIN)
        return plain


def routes(folder: Path, livekit_url: str) -> list[BaseRoute]:
    """Return the pages.

    Args:
        folder: what `make web` made; it may come later, or change.
        livekit_url: where browsers meet LiveKit.
    """
    files = StaticFiles(directory=folder, check_dir=False)
    modules = Modules(directory=folder / "widget", check_dir=False)
    page_headers = _page_headers(livekit_url)

    async def widget(request: Request) -> Response:
        if not await asyncio.to_thread((folder / "widget.js").is_file):
            raise Denied(Code.NOT_FOUND, _NOT_BUILT)
        return await _file("widget.js", request, _ASK_AGAIN | _ANY_ORIGIN)

    async def dialler(request: Request) -> Response:
        if not await asyncio.to_thread((folder / "dialler.html").is_file):
            return HTMLResponse(_NOT_BUILT_PAGE, 503, page_headers)
        return await _file("dialler.html", request, page_headers)

    async def _file(name: str, request: Request, headers: Mapping[str, str]) -> Response:
        response = await files.get_response(name, request.scope)
        response.headers.update(headers)
        return response

    async def module(request: Request) -> Response:
        if not await asyncio.to_thread((folder / "widget").is_dir):
            raise Denied(Code.NOT_FOUND, _NOT_BUILT)
        name = request.path_params["name"]
        if not _NAME.fullmatch(name):
            raise Denied(Code.NOT_FOUND, "there is no such module")
        return await modules.get_response(name, request.scope)

    return [
        Route("/widget.js", widget),
        Route("/dialler", dialler),
        Route("/widget/{name}", module),
    ]


def _page_headers(livekit_url: str) -> dict[str, str]:
    """Return what holds the page to our scripts, this server and LiveKit's."""
    livekit = urlsplit(livekit_url)
    secure = "s" if livekit.scheme in ("wss", "https") else ""
    # LiveKit's client asks over HTTP why it was refused.
    places = f"'self' ws{secure}://{livekit.netloc} http{secure}://{livekit.netloc}"
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "media-src": "'self' blob:",
        "connect-src": places,
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return _ASK_AGAIN | {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
        "Referrer-Policy": "no-referrer",
    }


def _type_of(path: str) -> str:
    return "text/css; charset=utf-8" if path.endswith(".css") else "text/javascript; charset=utf-8"
