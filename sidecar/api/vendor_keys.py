"""A tenant's keys with vendors, for bots of its that bring none; masked when read."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access
from sidecar.api.body import body_of
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.fault import unfit
from sidecar.keyring import PROVIDERS
from sidecar.secrecy import masked, restored
from sidecar.store import vendor_keys
from sidecar.store.database import Database
from sidecar.store.vendor_keys import VendorKeyRow
from sidecar.vault import MAX_BYTES, SecretMissing, Vault, one_line


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid")

    api_key: str = Field(min_length=1, max_length=MAX_BYTES)


def routes(access: Access, database: Database, vault: Vault, clock: Clock) -> list[BaseRoute]:
    """Return `/api/v1/vendor-keys`."""

    async def listed(request: Request) -> Response:
        tenant_id = await _tenant(request)
        async with database.read() as connection:
            rows = await vendor_keys.listed(connection, tenant_id)
        return JSONResponse({"vendor_keys": [_shown(row) for row in rows]})

    async def show(request: Request) -> Response:
        tenant_id = await _tenant(request)
        return JSONResponse(_shown(await _known(tenant_id, request.path_params["provider"])))

    async def replace(request: Request) -> Response:
        tenant_id = await _tenant(request)
        provider = request.path_params["provider"]
        if provider not in PROVIDERS:
            known = ", ".join(PROVIDERS)
            raise unfit("provider", f"{provider!r} takes no key; there are: {known}")
        given = (await body_of(request, _Key)).model_dump()
        async with database.transaction() as connection:
            before = await vendor_keys.get(connection, tenant_id, provider)
            api_key = restored(given, {"api_key": before.api_key if before else ""})["api_key"]
            api_key = one_line(api_key)
            _require_key(tenant_id, api_key)
            await vendor_keys.save(connection, tenant_id, provider, api_key, clock())
        status = 201 if before is None else 200
        return JSONResponse(_shown(await _known(tenant_id, provider)), status)

    async def remove(request: Request) -> Response:
        tenant_id = await _tenant(request)
        provider = request.path_params["provider"]
        async with database.transaction() as connection:
            if not await vendor_keys.remove(connection, tenant_id, provider):
                raise _unknown(provider)
        return Response(status_code=204)

    def _require_key(tenant_id: str, api_key: str) -> None:
        try:
            found = vault.resolve(tenant_id, api_key)
        except SecretMissing as missing:
            raise unfit("api_key", str(missing)) from missing
        if not found:
            raise unfit("api_key", "empty, or it has characters no key has")

    async def _known(tenant_id: str, provider: str) -> VendorKeyRow:
        async with database.read() as connection:
            row = await vendor_keys.get(connection, tenant_id, provider)
        if row is None:
            raise _unknown(provider)
        return row

    async def _tenant(request: Request) -> str:
        principal = await access.principal(request.headers)
        principal.require_admin()
        return principal.tenant_id

    return [
        Route("/api/v1/vendor-keys", listed),
        Route("/api/v1/vendor-keys/{provider}", show),
        Route("/api/v1/vendor-keys/{provider}", replace, methods=["PUT"]),
        Route("/api/v1/vendor-keys/{provider}", remove, methods=["DELETE"]),
    ]


def _shown(row: VendorKeyRow) -> dict[str, Any]:
    return {
        "provider": row.provider,
        **masked({"api_key": row.api_key}),
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


def _unknown(provider: str) -> Denied:
    return Denied(Code.KEY_UNKNOWN, f"no key is kept for {provider!r}")
