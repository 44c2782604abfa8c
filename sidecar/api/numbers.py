"""Numbers over HTTP: which bot answers which."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access, Principal
from sidecar.api.body import body_of
from sidecar.denial import Code, Denied
from sidecar.number_book import NumberBook
from sidecar.store import numbers
from sidecar.store.database import Database
from sidecar.store.numbers import NumberRow


class _Assignment(BaseModel):
    model_config = ConfigDict(extra="forbid")

    bot_id: str | None = Field(default=None, min_length=1, max_length=200)
    trunk_id: str | None = Field(default=None, min_length=1, max_length=64)


class _NewNumber(_Assignment):
    number: str = Field(min_length=1, max_length=200)


def routes(access: Access, database: Database, book: NumberBook) -> list[BaseRoute]:
    """Return `/api/v1/numbers`."""

    async def listed(request: Request) -> Response:
        principal = await access.principal(request.headers)
        bot_ids = None if principal.bot_ids is None else list(principal.bot_ids)
        async with database.read() as connection:
            rows = await numbers.listed(connection, principal.tenant_id, bot_ids)
        return JSONResponse({"numbers": [_shown(row) for row in rows]})

    async def create(request: Request) -> Response:
        principal = await _admin(request)
        new = await body_of(request, _NewNumber)
        row = await book.add(principal.tenant_id, new.number, new.bot_id, new.trunk_id)
        return JSONResponse(_shown(row), 201)

    async def show(request: Request) -> Response:
        principal = await access.principal(request.headers)
        row = await book.get(principal.tenant_id, request.path_params["number"])
        if principal.bot_ids is not None and row.bot_id not in principal.bot_ids:
            raise Denied(Code.NUMBER_UNKNOWN, "there is no such number")
        return JSONResponse(_shown(row))

    async def replace(request: Request) -> Response:
        principal = await _admin(request)
        to = await body_of(request, _Assignment)
        number = request.path_params["number"]
        row, is_new = await book.put(principal.tenant_id, number, to.bot_id, to.trunk_id)
        return JSONResponse(_shown(row), 201 if is_new else 200)

    async def remove(request: Request) -> Response:
        principal = await _admin(request)
        await book.free(principal.tenant_id, request.path_params["number"])
        return Response(status_code=204)

    async def _admin(request: Request) -> Principal:
        principal = await access.principal(request.headers)
        principal.require_admin()
        return principal

    return [
        Route("/api/v1/numbers", listed),
        Route("/api/v1/numbers", create, methods=["POST"]),
        Route("/api/v1/numbers/{number}", show),
        Route("/api/v1/numbers/{number}", replace, methods=["PUT"]),
        Route("/api/v1/numbers/{number}", remove, methods=["DELETE"]),
    ]


def _shown(row: NumberRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "bot_id": row.bot_id,
        "trunk_id": row.trunk_id,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }
