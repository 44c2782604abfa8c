"""Erasing calls: one by its id, or all that name a number."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.recording import CallsKept
from sidecar.access import Access
from sidecar.api.body import body_of
from sidecar.erasure import Erased, Erasures


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: str = Field(max_length=100)


def routes(access: Access, erasures: Erasures) -> list[BaseRoute]:
    """Return what erases, for administrators."""

    async def erase_call(request: Request) -> Response:
        tenant_id = await _admins_tenant(request)
        return _shown(await erasures.call(tenant_id, request.path_params["call_id"]))

    async def erase_number(request: Request) -> Response:
        tenant_id = await _admins_tenant(request)
        wanted = await body_of(request, _Wanted)
        return _shown(await erasures.number(tenant_id, wanted.number))

    async def erased(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        kept = await body_of(request, CallsKept)
        gone = CallsKept(call_ids=await erasures.among(tenant_id, kept.call_ids))
        return Response(gone.model_dump_json(), media_type="application/json")

    async def _admins_tenant(request: Request) -> str:
        principal = await access.principal(request.headers)
        principal.require_admin()
        return principal.tenant_id

    return [
        Route("/api/v1/calls/{call_id}", erase_call, methods=["DELETE"]),
        Route("/api/v1/erasures", erase_number, methods=["POST"]),
        Route("/internal/v1/erased", erased, methods=["POST"]),
    ]


def _shown(erased: Erased) -> Response:
    return JSONResponse(asdict(erased))
