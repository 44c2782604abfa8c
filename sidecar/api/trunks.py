"""Trunks over HTTP: ways to carriers, for administrators; passwords are masked."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access
from sidecar.api.body import json_object_of
from sidecar.secrecy import masked
from sidecar.store.trunks import TrunkRow
from sidecar.trunk_book import TrunkBook


def routes(access: Access, book: TrunkBook) -> list[BaseRoute]:
    """Return `/api/v1/trunks`."""

    async def listed(request: Request) -> Response:
        rows = await book.listed(await _tenant(request))
        return JSONResponse({"trunks": [shown(row) for row in rows]})

    async def create(request: Request) -> Response:
        tenant_id = await _tenant(request)
        row = await book.make(tenant_id, await json_object_of(request))
        return JSONResponse(shown(row), 201)

    async def show(request: Request) -> Response:
        tenant_id = await _tenant(request)
        return JSONResponse(shown(await book.get(tenant_id, _id(request))))

    async def replace(request: Request) -> Response:
        tenant_id = await _tenant(request)
        row = await book.change(tenant_id, _id(request), await json_object_of(request))
        return JSONResponse(shown(row))

    async def remove(request: Request) -> Response:
        await book.remove(await _tenant(request), _id(request))
        return Response(status_code=204)

    async def _tenant(request: Request) -> str:
        principal = await access.principal(request.headers)
        principal.require_admin()
        return principal.tenant_id

    return [
        Route("/api/v1/trunks", listed),
        Route("/api/v1/trunks", create, methods=["POST"]),
        Route("/api/v1/trunks/{trunk_id}", show),
        Route("/api/v1/trunks/{trunk_id}", replace, methods=["PUT"]),
        Route("/api/v1/trunks/{trunk_id}", remove, methods=["DELETE"]),
    ]


def _id(request: Request) -> str:
    return str(request.path_params["trunk_id"])


def shown(row: TrunkRow) -> dict[str, Any]:
    """Return a trunk as it is read: without its secrets, with what LiveKit SIP makes of it."""
    return {
        **masked(row.trunk.model_dump(mode="json")),
        "lk_sync_status": _sync_status(row),
        "lk_sync_error": row.sync_error,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


def _sync_status(row: TrunkRow) -> str | None:
    """Return whether LiveKit SIP has been told of a trunk; None for one of the own bridge."""
    if row.trunk.kind != "managed":
        return None
    if row.sync_error is not None:
        return "error"
    return "ok" if row.synced_sha256 else "pending"
