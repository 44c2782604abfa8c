"""Connections to the address that a bot names, which was checked, and to no other from there."""

from __future__ import annotations

from typing import Any

import aiohttp
from google.genai import live
from livekit.agents.utils import http_context
from websockets.asyncio.client import connect


class Redirected(aiohttp.ClientError):
    """A vendor's address sends us elsewhere: that place nobody has checked."""


def direct_session() -> aiohttp.ClientSession:
    """Return the session that the plug-ins of a job share; from now on it follows no redirect."""
    session = http_context.http_session()
    if _STRICT not in session.trace_configs:
        session.trace_configs.append(_STRICT)
    return session


class Direct:
    """A plug-in's engine that is not sent on: named before the plug-in's own class."""

    def _ensure_session(self) -> aiohttp.ClientSession:
        return direct_session()


def make_gemini_direct() -> None:
    """Let Google's library follow no redirect either: it opens its WebSockets by this name."""
    vars(live)["ws_connect"] = DirectConnect


def allow_plain_http(client: Any) -> None:
    """Let Google's client speak to a server of one's own in the clear: it knows `wss` alone."""
    api = client._api_client
    made = api._websocket_base_url
    if str(api._http_options.base_url or "").startswith("http:"):
        api._websocket_base_url = lambda *options: made(*options).replace("wss:", "ws:", 1)
        api._websocket_ssl_ctx = {}


class DirectConnect(connect):
    """A WebSocket's connection that is where it was to be, or none."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take a redirect for the failure that it is."""
        return exc


async def _refuse(*_: Any) -> None:
    raise Redirected("the vendor's address is elsewhere")


def _strict() -> aiohttp.TraceConfig:
    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(_refuse)
    tracing.freeze()
    return tracing


_STRICT = _strict()
