"""`/api/v1/call-results`: results of calls that other runtimes of the family held."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.result import CallResultsPayload
from sidecar.access import Access
from sidecar.api import cdr
from sidecar.api.body import body_of
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.reported import merged
from sidecar.store import cdrs, reported
from sidecar.store.database import Database
from sidecar.store.reported import ReportedRow


def routes(
    access: Access, database: Database, clock: Clock, new_token: Callable[[], str]
) -> list[BaseRoute]:
    """Return the door of other runtimes' results, and what operators see of them."""

    async def take(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        payload = await body_of(request, CallResultsPayload)

        async def work(connection: AsyncConnection) -> ReportedRow:
            session_id = payload.session_id
            before = await reported.get(connection, tenant_id, session_id, for_update=True)
            after = merged(before, payload, clock(), new_token)
            change = reported.add if before is None else reported.change
            await change(connection, tenant_id, after)
            return after

        row = await database.run(work)
        return JSONResponse({"status": "ok", "session_id": row.session_id})

    async def show(request: Request) -> Response:
        principal = await access.principal(request.headers)
        # Whose bot held the call is not in a payload, so a key for some bots sees none.
        principal.require_admin()
        session_id = request.path_params["session_id"]
        async with database.read() as connection:
            row = await reported.get(connection, principal.tenant_id, session_id)
            if row is None:
                raise Denied(Code.NOT_FOUND, "no runtime has reported this session")
            stream_id = str(row.body.get("stream_id") or "")
            told = await cdrs.of_stream(connection, principal.tenant_id, stream_id, None)
        return JSONResponse({**_shown(row), **cdr.shown(told)})

    return [
        Route("/api/v1/call-results", take, methods=["POST"]),
        Route("/api/v1/call-results/{session_id}", show),
    ]


def _shown(row: ReportedRow) -> dict[str, object]:
    return {
        "session_id": row.session_id,
        "status": row.status,
        "created_at": row.created_at.isoformat(),
        "completed_at": row.completed_at.isoformat(),
        "recording_access_token": row.recording_token,
        "result": row.body,
    }
