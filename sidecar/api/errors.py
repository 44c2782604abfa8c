"""The one error shape: `{"error": {"code", "message", "details"}}`, plain `detail` beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from sidecar.denial import Code, Denied

STORE_RETRY_AFTER_S = 2

log = structlog.get_logger(__name__)

STATUS = {
    Code.ALREADY_CLAIMED: 409,
    Code.AT_CAPACITY: 429,
    Code.BODY_INVALID: 422,
    Code.BOT_EXISTS: 409,
    Code.BOT_UNKNOWN: 404,
    Code.CALL_ENDED: 410,
    Code.CALL_ERASED: 410,
    Code.CALL_LIVE: 409,
    Code.CALL_UNKNOWN: 404,
    Code.CONFIG_INVALID: 422,
    Code.CONFIG_UNAVAILABLE: 503,
    Code.FORBIDDEN: 403,
    Code.GAP: 409,
    Code.KEY_REUSED: 409,
    Code.KEY_INACTIVE: 403,
    Code.KEY_INVALID: 401,
    Code.KEY_UNKNOWN: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.NO_AGENT: 503,
    Code.NOT_FOUND: 404,
    Code.NUMBER_TAKEN: 409,
    Code.NUMBER_UNKNOWN: 404,
    Code.ORIGIN_REFUSED: 403,
    Code.OUTSIDE_HOURS: 503,
    Code.PLANNING: 503,
    Code.QUEUE_ITEM_UNKNOWN: 404,
    Code.RECORDING_DIFFERS: 409,
    Code.ROOM_UNAVAILABLE: 503,
    Code.SECRET_WRONG: 403,
    Code.STALE_ATTEMPT: 409,
    Code.STALE_INCARNATION: 409,
    Code.STANDBY_GONE: 410,
    Code.STORE_UNAVAILABLE: 503,
    Code.TOO_MANY: 429,
    Code.TRUNK_BUSY: 429,
    Code.TRUNK_EXISTS: 409,
    Code.TRUNK_IN_USE: 409,
    Code.TRUNK_UNAVAILABLE: 503,
    Code.TRUNK_UNKNOWN: 404,
    Code.UNAUTHORISED: 401,
}


def denied_response(denied: Denied, statuses: Mapping[Code, int] = STATUS) -> JSONResponse:
    """Return the answer a denial becomes, at a door whose clients know these statuses."""
    error = {"code": denied.code, "message": denied.message, "details": denied.details}
    # Clients of the family read plain text under `detail`.
    body = {"error": error, "detail": denied.message}
    return JSONResponse(body, statuses[denied.code], _retry_after(denied))


def text_response(denied: Denied) -> JSONResponse:
    """Return the same for a door of the fleet: the family's control plane reads a text `error`."""
    body = {
        "error": denied.message,
        "code": denied.code,
        "details": denied.details,
        "detail": denied.message,
    }
    return JSONResponse(body, STATUS[denied.code], _retry_after(denied))


def _retry_after(denied: Denied) -> dict[str, str]:
    if denied.retry_after_s is None:
        return {}
    return {"Retry-After": str(denied.retry_after_s)}


async def _on_denied(_: Request, error: Exception) -> Response:
    return denied_response(cast(Denied, error))


async def _on_http(_: Request, error: Exception) -> Response:
    status = cast(HTTPException, error).status_code
    code = Code.METHOD_NOT_ALLOWED if status == 405 else Code.NOT_FOUND
    return denied_response(Denied(code, cast(HTTPException, error).detail))


async def _on_gone(_: Request, __: Exception) -> Response:
    # Nobody reads this: the client left before its request was complete.
    return Response(status_code=400)


async def _on_store(request: Request, error: Exception) -> Response:
    # The text of a database's error has no parameters in it (`hide_parameters`).
    cause = str(error).partition("\n")[0]
    log.error("store_unavailable", path=request.url.path, error=type(error).__name__, cause=cause)
    message = "the database or the disk does not take it now; see the sidecar's log"
    return denied_response(
        Denied(Code.STORE_UNAVAILABLE, message, retry_after_s=STORE_RETRY_AFTER_S)
    )


async def _on_bug(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, exc_info=error)
    body = {"error": {"code": "internal", "message": "our fault; see the log", "details": {}}}
    return JSONResponse(body, 500)


EXCEPTION_HANDLERS: dict[Any, ExceptionHandler] = {
    Denied: _on_denied,
    ClientDisconnect: _on_gone,
    HTTPException: _on_http,
    # Locked, full, away: sqlite and asyncpg tell it in these ways.
    OperationalError: _on_store,
    InterfaceError: _on_store,
    OSError: _on_store,
    Exception: _on_bug,
}
