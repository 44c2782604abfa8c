"""Addresses that asked to be left alone, and the operator's word that they may be tried again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access
from sidecar.denial import Code, Denied
from sidecar.store import endpoints
from sidecar.store.database import Database


def routes(access: Access, database: Database) -> list[BaseRoute]:
    """Return `/api/v1/endpoints`. Bots share an address, so this is for administrators."""

    async def listed(request: Request) -> Response:
        principal = await access.principal(request.headers)
        principal.require_admin()
        async with database.read() as connection:
            rows = await endpoints.listed(connection, principal.tenant_id)
        shown = [
            {
                "endpoint_id": row.endpoint_id,
                "url": row.url,
                "reason": row.reason,
                "disabled_at": row.disabled_at.isoformat(),
            }
            for row in rows
        ]
        return JSONResponse({"endpoints": shown})

    async def enable(request: Request) -> Response:
        principal = await access.principal(request.headers)
        principal.require_admin()
        endpoint_id = request.path_params["endpoint_id"]
        async with database.transaction() as connection:
            url = await endpoints.enable(connection, principal.tenant_id, endpoint_id)
        if url is None:
            raise Denied(Code.NOT_FOUND, "no such endpoint is disabled")
        return JSONResponse({"endpoint_id": endpoint_id, "url": url})

    return [
        Route("/api/v1/endpoints", listed),
        Route("/api/v1/endpoints/{endpoint_id}/enable", enable, methods=["POST"]),
    ]
