"""For SIP bridges: which calls to place, and by which trunks calls come and go."""

from __future__ import annotations

import asyncio

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from contracts.trunk import BridgeTrunks, DialClaim, Trunk
from sidecar.access import Access
from sidecar.api.body import body_of
from sidecar.dial_claims import DialClaims
from sidecar.store import trunks
from sidecar.store.database import Database
from sidecar.store.trunks import TrunkRow
from sidecar.vault import SecretMissing, Vault

log = structlog.get_logger(__name__)


def routes(access: Access, database: Database, claims: DialClaims, vault: Vault) -> list[BaseRoute]:
    """Return `/internal/v1/dials/claim` and `/internal/v1/trunks`."""

    async def claim(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        asked = await body_of(request, DialClaim)
        claiming = asyncio.create_task(claims.claim(tenant_id, asked))
        leaving = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait({claiming, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not claiming.done():
                claiming.cancel()
                await asyncio.wait({claiming})
        if claiming.cancelled():
            return Response(status_code=400)
        return Response(claiming.result().model_dump_json(), media_type="application/json")

    async def listed(request: Request) -> Response:
        # Whoever has the service's secret plans and dials for this tenant alone.
        tenant_id = access.require_service(request.headers)
        async with database.read() as connection:
            rows = await trunks.listed(connection, tenant_id, kind="bridge")
        active = [complete(row) for row in rows if row.trunk.is_active]
        answer = BridgeTrunks(trunks=[trunk for trunk in active if trunk])
        return Response(answer.model_dump_json(), media_type="application/json")

    def complete(row: TrunkRow) -> Trunk | None:
        try:
            return vault.trunk(row.tenant_id, row.trunk)
        except SecretMissing as missing:
            # No other trunk's mistake; whoever calls by this one is told there.
            log.warning("trunk_without_secret", trunk_id=row.trunk_id, error=str(missing))
            return None

    return [
        Route("/internal/v1/dials/claim", claim, methods=["POST"]),
        Route("/internal/v1/trunks", listed),
    ]
