"""Trunks over HTTP: ways to carriers, made and changed by administrators, passwords masked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as with_changes
from typing import Any

from sqlalchemy.exc import IntegrityError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access, Principal
from sidecar.api.body import json_object_of
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.secrecy import masked, restored
from sidecar.store import calls, numbers, trunks
from sidecar.store.database import Database
from sidecar.store.trunks import TrunkRow
from sidecar.trunk_check import TrunkCheck
from sidecar.vault import SCHEME
from sidecar.wake import Wake

_PASSWORDS = ("password", "inbound_password")


def routes(
    access: Access,
    database: Database,
    check: TrunkCheck,
    clock: Clock,
    new_trunk_id: Callable[[], str],
    changed: Wake,
) -> list[BaseRoute]:
    """Return `/api/v1/trunks`."""

    async def listed(request: Request) -> Response:
        principal = await _admin(request)
        async with database.read() as connection:
            rows = await trunks.listed(connection, principal.tenant_id)
        return JSONResponse({"trunks": [shown(row) for row in rows]})

    async def create(request: Request) -> Response:
        principal = await _admin(request)
        asked = restored(await json_object_of(request), None)
        trunk = await check.require({**asked, "trunk_id": asked.get("trunk_id") or new_trunk_id()})
        now = clock()
        row = TrunkRow(trunk.trunk_id, principal.tenant_id, trunk, now, now)
        try:
            async with database.transaction() as connection:
                await trunks.add(connection, row)
        except IntegrityError as error:
            message = "a trunk of that id exists; PUT changes it"
            raise Denied(Code.TRUNK_EXISTS, message) from error
        changed.ring()
        return JSONResponse(shown(row), 201)

    async def show(request: Request) -> Response:
        principal = await _admin(request)
        return JSONResponse(shown(await _known(principal, request)))

    async def replace(request: Request) -> Response:
        principal = await _admin(request)
        current = await _known(principal, request)
        stored = current.trunk.model_dump(mode="json")
        asked = {**await json_object_of(request), "trunk_id": current.trunk_id}
        # The carrier's name is looked up before the database is held, not meanwhile.
        trunk = await check.require(restored(asked, stored))
        async with database.transaction() as connection:
            row = await trunks.get(connection, principal.tenant_id, current.trunk_id)
            if row is None:
                raise _unknown(current.trunk_id)
            # LiveKit is to be told anew, whatever it has been told.
            row = with_changes(
                row, trunk=trunk, updated_at=clock(), synced_sha256="", sync_error=None
            )
            await trunks.save(connection, row)
        changed.ring()
        return JSONResponse(shown(row))

    async def remove(request: Request) -> Response:
        principal = await _admin(request)
        tenant_id, trunk_id = principal.tenant_id, request.path_params["trunk_id"]
        async with database.transaction() as connection:
            assigned = await numbers.of_trunk(connection, tenant_id, trunk_id)
            live = await calls.count_on_trunk(connection, tenant_id, trunk_id)
            if assigned or live:
                raise Denied(
                    Code.TRUNK_IN_USE,
                    "numbers or live calls refer to the trunk; switch it off (`is_active`) first",
                    details={"numbers": len(assigned), "live_calls": live},
                )
            if not await trunks.remove(connection, tenant_id, trunk_id):
                raise _unknown(trunk_id)
        changed.ring()
        return Response(status_code=204)

    async def _admin(request: Request) -> Principal:
        principal = await access.principal(request.headers)
        principal.require_admin()
        return principal

    async def _known(principal: Principal, request: Request) -> TrunkRow:
        trunk_id = request.path_params["trunk_id"]
        async with database.read() as connection:
            row = await trunks.get(connection, principal.tenant_id, trunk_id)
        if row is None:
            raise _unknown(trunk_id)
        return row

    return [
        Route("/api/v1/trunks", listed),
        Route("/api/v1/trunks", create, methods=["POST"]),
        Route("/api/v1/trunks/{trunk_id}", show),
        Route("/api/v1/trunks/{trunk_id}", replace, methods=["PUT"]),
        Route("/api/v1/trunks/{trunk_id}", remove, methods=["DELETE"]),
    ]


def shown(row: TrunkRow) -> dict[str, Any]:
    """Return a trunk as it is read: without its secrets, with what LiveKit SIP makes of it."""
    config = row.trunk.model_dump(mode="json")
    # A reference says where the secret is, not what it is.
    references = {name: config[name] for name in _PASSWORDS if config[name].startswith(SCHEME)}
    return {
        **masked(config),
        **references,
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


def _unknown(trunk_id: str) -> Denied:
    return Denied(Code.TRUNK_UNKNOWN, f"there is no trunk {trunk_id!r}")
