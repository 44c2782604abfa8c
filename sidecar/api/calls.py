"""Calls as operators and integrators read them: the list, one call, its result, its events."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access, Principal
from sidecar.api import cdr
from sidecar.api.body import MAX_PAGE, integer, moment, words
from sidecar.denial import Code, Denied
from sidecar.store import calls, cdrs, events
from sidecar.store.calls import CallRow
from sidecar.store.database import Database

MAX_REVISION = 1_000_000


def routes(access: Access, database: Database) -> list[BaseRoute]:
    """Return `/api/v1/calls`."""

    async def listed(request: Request) -> Response:
        principal = await access.principal(request.headers)
        limit = integer(request, "limit", 50, least=1, most=MAX_PAGE)
        async with database.read() as connection:
            rows = await calls.page(
                connection,
                principal.tenant_id,
                bot_ids=visible_bots(principal, words(request, "bot_id")),
                states=words(request, "state"),
                caller_id=request.query_params.get("caller_id"),
                session_id=request.query_params.get("session_id"),
                before=moment(request, "before"),
                limit=limit,
            )
        before = rows[-1].planned_at.isoformat() if len(rows) == limit else None
        return JSONResponse({"calls": [_shown(row) for row in rows], "next_before": before})

    async def show(request: Request) -> Response:
        row = await _visible(request)
        async with database.read() as connection:
            told = await cdrs.of_stream(connection, row.tenant_id, row.stream_id, row.call_id)
        return JSONResponse({**_shown(row), **cdr.shown(told)})

    async def result(request: Request) -> Response:
        row = await _visible(request)
        asked = request.query_params.get("revision")
        revision = integer(request, "revision", 0, most=MAX_REVISION) if asked else None
        async with database.read() as connection:
            body = await calls.latest_result(connection, row.tenant_id, row.call_id, revision)
        if body is None:
            raise Denied(Code.NOT_FOUND, "the call has no such result, or not yet")
        return JSONResponse(body)

    async def history(request: Request) -> Response:
        row = await _visible(request)
        after = integer(request, "after", 0, most=2**62)
        limit = integer(request, "limit", MAX_PAGE, least=1, most=MAX_PAGE)
        async with database.read() as connection:
            found = await events.after(
                connection, row.tenant_id, after, call_id=row.call_id, limit=limit
            )
        return JSONResponse({"events": [event.model_dump(mode="json") for event in found]})

    async def _visible(request: Request) -> CallRow:
        principal = await access.principal(request.headers)
        async with database.read() as connection:
            row = await calls.get(connection, principal.tenant_id, request.path_params["call_id"])
        if row is None or not principal.sees(row.bot_id):
            raise Denied(Code.CALL_UNKNOWN, "there is no such call")
        return row

    return [
        Route("/api/v1/calls", listed),
        Route("/api/v1/calls/{call_id}", show),
        Route("/api/v1/calls/{call_id}/result", result),
        Route("/api/v1/calls/{call_id}/events", history),
    ]


def visible_bots(principal: Principal, wanted: list[str]) -> list[str] | None:
    """Return which bots a listing covers: those asked for, as far as the key may see them."""
    if not wanted:
        return None if principal.bot_ids is None else list(principal.bot_ids)
    return [bot_id for bot_id in wanted if principal.sees(bot_id)]


def _shown(row: CallRow) -> dict[str, Any]:
    call = row.call
    return {
        "call_id": row.call_id,
        "session_id": row.session_id,
        "bot_id": row.bot_id,
        "channel": row.channel,
        "call_direction": row.call_direction,
        "caller_id": row.caller_id,
        "did": row.did,
        "stream_id": row.stream_id,
        "state": row.state,
        "planned_at": row.planned_at.isoformat(),
        "answered_at": _iso(row.answered_at),
        "ended_at": _iso(call.ended_at),
        "call_duration_seconds": round(call.duration_s, 3),
        "reason": row.end_reason,
        "detail": row.end_detail,
        "disconnected_by": None if call.outcome is None else call.outcome.disconnected_by,
        "blame": None if call.outcome is None else call.outcome.blame,
        "incarnation": row.incarnation,
        "agent": row.worker_id,
        "bridge": row.bridge_id,
        "illegal_events": row.illegal_events,
    }


def _iso(at: Any) -> str | None:
    return None if at is None else at.isoformat()
