"""API keys: made, listed, changed, removed by administrators; the key itself is shown once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.moment import Moment
from sidecar.access import Access, Principal, new_key
from sidecar.api.body import body_of
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.store import keys
from sidecar.store.database import Database
from sidecar.store.keys import KeyRow


class _NewKey(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    bot_ids: list[str] = Field(default_factory=list)
    is_admin: bool = False
    expires_at: Moment | None = None

    @model_validator(mode="after")
    def _admins_see_all(self) -> Self:
        # An admin key makes keys, hence could always make itself one for the other bots.
        if self.is_admin and self.bot_ids:
            raise ValueError("an admin key cannot be kept to some bots")
        return self


class _KeyChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(default="", min_length=1, max_length=200)
    is_active: bool = True
    expires_at: Moment | None = None


def routes(
    access: Access, database: Database, clock: Clock, new_id: Callable[[], str]
) -> list[BaseRoute]:
    """Return `/api/v1/api-keys`."""

    async def listed(request: Request) -> Response:
        principal = await _admin(request)
        async with database.read() as connection:
            rows = await keys.listed(connection, principal.tenant_id)
        return JSONResponse({"api_keys": [_shown(row) for row in rows]})

    async def create(request: Request) -> Response:
        principal = await _admin(request)
        wanted = await body_of(request, _NewKey)
        text, row = new_key(
            principal.tenant_id,
            new_id(),
            wanted.name,
            bot_ids=wanted.bot_ids,
            is_admin=wanted.is_admin,
            expires_at=wanted.expires_at,
            at=clock(),
        )
        async with database.transaction() as connection:
            await keys.add(connection, row)
        return JSONResponse({**_shown(row), "key": text}, 201)

    async def change(request: Request) -> Response:
        principal = await _admin(request)
        key_id = request.path_params["key_id"]
        changes = (await body_of(request, _KeyChange)).model_dump(exclude_unset=True)
        async with database.transaction() as connection:
            if changes:
                await keys.change(connection, principal.tenant_id, key_id, changes)
            row = await keys.get(connection, principal.tenant_id, key_id)
        if row is None:
            raise _unknown()
        return JSONResponse(_shown(row))

    async def remove(request: Request) -> Response:
        principal = await _admin(request)
        async with database.transaction() as connection:
            key_id = request.path_params["key_id"]
            if not await keys.remove(connection, principal.tenant_id, key_id):
                raise _unknown()
        return Response(status_code=204)

    async def _admin(request: Request) -> Principal:
        principal = await access.principal(request.headers)
        principal.require_admin()
        return principal

    return [
        Route("/api/v1/api-keys", listed),
        Route("/api/v1/api-keys", create, methods=["POST"]),
        Route("/api/v1/api-keys/{key_id}", change, methods=["PATCH"]),
        Route("/api/v1/api-keys/{key_id}", remove, methods=["DELETE"]),
    ]


def _shown(row: KeyRow) -> dict[str, Any]:
    return {
        "key_id": row.key_id,
        "name": row.name,
        "key_prefix": row.key_prefix,
        "bot_ids": row.bot_ids,
        "is_admin": row.is_admin,
        "is_active": row.is_active,
        "created_at": row.created_at.isoformat(),
        "expires_at": row.expires_at and row.expires_at.isoformat(),
        "last_used_at": row.last_used_at and row.last_used_at.isoformat(),
    }


def _unknown() -> Denied:
    return Denied(Code.KEY_UNKNOWN, "there is no such API key")
