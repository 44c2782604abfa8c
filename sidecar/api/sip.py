"""What other runtimes and diallers ask: whose a number is, and by which trunk to dial."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access
from sidecar.denial import Code, Denied
from sidecar.number_book import NumberBook
from sidecar.route import Route as WayOut
from sidecar.store import trunks
from sidecar.store.database import Database

Way = Callable[[str, str], Awaitable[WayOut]]
"""Returns by which trunk a tenant's call goes out that shows a caller id."""


def routes(access: Access, database: Database, book: NumberBook, way: Way) -> list[BaseRoute]:
    """Return the look-ups of the family's contract."""

    async def lookup(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        row = await book.get(tenant_id, request.query_params.get("number", ""))
        if row.bot_id is None:
            raise Denied(Code.NUMBER_UNKNOWN, "no bot answers this number")
        return JSONResponse(
            {"bot_id": row.bot_id, "carrier_id": row.trunk_id, "did_id": row.number}
        )

    async def outbound_trunk(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        try:
            found = await way(tenant_id, request.query_params.get("from_number", ""))
        except Denied as denied:
            if denied.code is Code.TRUNK_UNAVAILABLE:
                raise Denied(Code.TRUNK_UNKNOWN, denied.message) from denied
            raise
        trunk = found.trunk
        async with database.read() as connection:
            row = await trunks.get(connection, tenant_id, trunk.trunk_id)
        return JSONResponse(
            {
                # Whoever asks dials by LiveKit SIP themselves, which has its own name for it.
                "trunk_id": (row and row.outbound_id) or trunk.trunk_id,
                "number": found.from_number,
                "cps": trunk.cps,
                "burst": trunk.burst,
                "channels": trunk.channels,
            }
        )

    return [
        Route("/api/v1/sip/lookup", lookup),
        Route("/api/v1/sip/outbound-trunk", outbound_trunk),
    ]
