"""How fast bots answer: one bot's newest turns for its owner, everything for Prometheus."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access, with_bearer
from sidecar.api.body import integer, moment
from sidecar.denial import Code, Denied
from sidecar.latency import spread
from sidecar.metrics import Metrics
from sidecar.store import bots, turns
from sidecar.store.database import Database
from sidecar.store.tables import DEFAULT_TENANT


def routes(access: Access, database: Database, metrics: Metrics) -> list[BaseRoute]:
    """Return `/api/v1/bots/{bot_id}/latency` and `/metrics`."""

    async def of_bot(request: Request) -> Response:
        principal = await access.principal(request.headers)
        bot_id = request.path_params["bot_id"]
        since = moment(request, "since")
        limit = integer(request, "limit", turns.MAX_TURNS, least=1, most=turns.MAX_TURNS)
        if not principal.sees(bot_id):
            raise _unknown(bot_id)
        async with database.read() as connection:
            found = await turns.newest(
                connection, principal.tenant_id, bot_id, since=since, limit=limit
            )
            # Bots of an external config API have calls and no row.
            if not found and await bots.get(connection, principal.tenant_id, bot_id) is None:
                raise _unknown(bot_id)
        return JSONResponse({"turns": len(found), "stages": spread(found)})

    async def exposition(request: Request) -> Response:
        principal = await access.principal(with_bearer(request.headers))
        principal.require_admin()
        if principal.tenant_id != DEFAULT_TENANT:
            raise Denied(Code.FORBIDDEN, "these are every tenant's figures")
        return Response(await metrics.exposition(), media_type="text/plain; version=0.0.4")

    return [
        Route("/api/v1/bots/{bot_id}/latency", of_bot),
        Route("/metrics", exposition),
    ]


def _unknown(bot_id: str) -> Denied:
    return Denied(Code.BOT_UNKNOWN, f"there is no bot {bot_id!r}")
