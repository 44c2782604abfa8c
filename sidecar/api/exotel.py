"""What Exotel's applets ask by HTTP: the dynamic URL, Passthru, and whom to connect to."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

import structlog
from pydantic_core import from_json
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.api.body import raw_body
from sidecar.api.errors import STATUS, denied_response
from sidecar.denial import Code, Denied
from sidecar.exotel import Exotel, Ringing, Visitor
from sidecar.exotel_passthru import StreamReport
from sidecar.exotel_url import Place, custom_of

log = structlog.get_logger(__name__)

ANSWER_S = 2.8
"""A flow halts that is not answered within three to five seconds."""
MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 100
_STATUS = {**STATUS, Code.AT_CAPACITY: 503}
"""One status for every reason to go on without the bot."""
_ITS_OWN_FAULT = frozenset({Code.UNAUTHORISED, Code.BOT_UNKNOWN, Code.BODY_INVALID})


def routes(exotel: Exotel) -> list[BaseRoute]:
    """Return `/exotel/{bot_id}/…`; the stream itself is the bridge's."""

    async def url(request: Request) -> Response:
        pairs = request.query_params.multi_items()
        call = Ringing(
            call_sid=_first(pairs, "CallSid"),
            caller_id=_first(pairs, "CallFrom", "From"),
            did=_first(pairs, "CallTo", "To"),
        )

        def here() -> Place:
            return Place.of_request(request.url.scheme, request.headers.get("Host", ""))

        try:
            found = await exotel.url(_visitor(request), call, custom_of(pairs), here)
        except Denied as denied:
            return denied_response(denied, _STATUS)
        return JSONResponse({"url": found})

    async def passthru(request: Request) -> Response:
        report = StreamReport.parse(await _told(request))
        try:
            async with asyncio.timeout(ANSWER_S):
                is_wanted = await exotel.passthru(_visitor(request), report)
        except Denied as denied:
            if denied.code in _ITS_OWN_FAULT:
                raise
            is_wanted = False
        except (TimeoutError, SQLAlchemyError, OSError) as error:
            log.error("exotel_passthru_failed", error=type(error).__name__)
            is_wanted = False
        return Response(status_code=302 if is_wanted else 200)

    async def transfer(request: Request) -> Response:
        call_sid = _first(request.query_params.multi_items(), "CallSid")
        number = await exotel.number(_visitor(request), call_sid)
        return JSONResponse({"fetch_after_attempt": False, "destination": {"numbers": [number]}})

    return [
        Route("/exotel/{bot_id}/url", url),
        Route("/exotel/{bot_id}/passthru", passthru, methods=["GET", "POST"]),
        Route("/exotel/{bot_id}/transfer", transfer),
    ]


def _visitor(request: Request) -> Visitor:
    shown = next(filter(None, request.query_params.getlist("token")), "")
    return Visitor(
        bot_id=request.path_params["bot_id"],
        token=shown or _credentials(request.headers.get("Authorization", "")),
        peer_ip=request.client.host if request.client else "",
    )


def _credentials(authorization: str) -> str:
    scheme, _, shown = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return shown.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(shown.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _first(pairs: Iterable[tuple[str, str]], *names: str) -> str:
    """Return the first value there is of any of these names, without what no database takes."""
    found = next((value for key, value in pairs if key in names and value), "")
    return found.replace("\0", "")[:200]


async def _told(request: Request) -> list[tuple[str, Any]]:
    """Return names and values from wherever a Passthru puts them.

    Raises:
        Denied: there are more than anybody would read.
    """
    pairs: list[tuple[str, Any]] = list(request.query_params.multi_items())
    body = await raw_body(request)
    if len(body) > MAX_BODY_BYTES or len(pairs) > MAX_FIELDS:
        raise Denied(Code.BODY_INVALID, "this is no report of a stream")
    if not body.strip():
        return pairs
    try:
        found = from_json(body, allow_inf_nan=False)
    except ValueError:
        try:
            text = body.decode(errors="replace")
            return pairs + parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise Denied(Code.BODY_INVALID, "this is no report of a stream") from error
    return pairs + list(found.items()) if isinstance(found, dict) else pairs
