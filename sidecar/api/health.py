"""Health, from memory: load balancers ask often and must never wait."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.fleet import Fleet


def routes(fleet: Fleet) -> list[BaseRoute]:
    """Return the health endpoints; their JSON is compact, as checks match it by pattern."""

    async def health(_: Request) -> Response:
        return JSONResponse(fleet.health())

    async def whole_fleet(_: Request) -> Response:
        return JSONResponse(fleet.fleet())

    return [Route("/health", health), Route("/health/fleet", whole_fleet)]
