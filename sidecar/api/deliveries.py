"""Deliveries as operators read them: what was announced where, and what each attempt came to."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access
from sidecar.api.body import MAX_PAGE, integer, words
from sidecar.api.calls import visible_bots
from sidecar.store import deliveries
from sidecar.store.database import Database
from sidecar.store.deliveries import Attempt, Delivery


def routes(access: Access, database: Database) -> list[BaseRoute]:
    """Return `/api/v1/deliveries`."""

    async def listed(request: Request) -> Response:
        principal = await access.principal(request.headers)
        async with database.read() as connection:
            rows = await deliveries.page(
                connection,
                principal.tenant_id,
                call_id=request.query_params.get("call_id"),
                bot_ids=visible_bots(principal, words(request, "bot_id")),
                states=words(request, "state"),
                limit=integer(request, "limit", 50, least=1, most=MAX_PAGE),
            )
            ids = [row.delivery_id for row in rows]
            attempts = await deliveries.attempts(connection, principal.tenant_id, ids)
        return JSONResponse({"deliveries": [_shown(row, attempts) for row in rows]})

    return [Route("/api/v1/deliveries", listed)]


def _shown(row: Delivery, attempts: list[Attempt]) -> dict[str, Any]:
    return {
        "delivery_id": row.delivery_id,
        "call_id": row.call_id,
        "bot_id": row.bot_id,
        "url": row.url,
        "state": row.state,
        "created_at": row.created_at.isoformat(),
        "next_attempt_at": row.due_at.isoformat() if row.settled_at is None else None,
        "settled_at": row.settled_at and row.settled_at.isoformat(),
        "last_error": row.last_error,
        "attempts": [
            {
                "attempt": attempt.attempt,
                "at": attempt.at.isoformat(),
                "status_code": attempt.status_code,
                "error": attempt.error,
                "duration_ms": round(attempt.duration_ms, 1),
            }
            for attempt in attempts
            if attempt.delivery_id == row.delivery_id
        ],
    }
