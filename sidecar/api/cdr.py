"""`POST /api/v1/cdr`: a dialler's own record of a call, kept beside ours and never above it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access
from sidecar.api.body import json_object_of
from sidecar.clock import Clock
from sidecar.fault import unfit
from sidecar.store import cdrs
from sidecar.store.cdrs import CdrRow
from sidecar.store.database import Database

MAX_STREAM_ID_CHARS = 200
_KEYS = ("streamId", "stream_id")
_TOO_BIG = 2**63


def routes(access: Access, database: Database, clock: Clock) -> list[BaseRoute]:
    """Return the CDR door."""

    async def take(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        body = await json_object_of(request)
        stream_id = _stream_id_of(body)
        if not stream_id:
            return JSONResponse({"status": "ignored", "reason": "no streamId"})

        async def work(connection: AsyncConnection) -> bool:
            return await cdrs.save(connection, tenant_id, stream_id, body, clock())

        is_known = await database.run(work)
        status = "ok" if is_known else "not_found"
        return JSONResponse({"status": status, "stream_id": stream_id})

    return [Route("/api/v1/cdr", take, methods=["POST"])]


def shown(row: CdrRow | None) -> dict[str, Any]:
    """Return what a call's answer says of its CDR; every key is there also without one."""
    body = {} if row is None else row.body
    return {
        "cdr": None if row is None else body,
        "cdr_talktime": body.get("talktime"),
        "cdr_call_status": body.get("call_status"),
        "cdr_recording_url": body.get("recording_filename"),
    }


def _stream_id_of(body: dict[str, Any]) -> str:
    """Return which stream a CDR is of; diallers name it as text or as a number."""
    for key in _KEYS:
        value = body.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _TOO_BIG:
            return str(value)
        # Neither database compares what Postgres cannot store.
        if isinstance(value, str) and (stream_id := value.replace("\0", "")):
            if len(stream_id) > MAX_STREAM_ID_CHARS:
                raise unfit(key, f"more than {MAX_STREAM_ID_CHARS} characters")
            return stream_id
    return ""
