"""Bots: made, read, changed and removed; every change is a version."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.exc import IntegrityError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.bot import BotConfig, PostCallPush
from sidecar.access import Access
from sidecar.api.body import json_object_of
from sidecar.clock import Clock
from sidecar.configure import validated
from sidecar.credential import HeaderInvalid, headers_of
from sidecar.denial import Code, Denied
from sidecar.secrecy import masked, restored
from sidecar.signing import SecretInvalid, secrets_of
from sidecar.store import bots
from sidecar.store.bots import BotRow
from sidecar.store.database import Database
from sidecar.vetting import Vetting

_BOT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def routes(access: Access, database: Database, vetting: Vetting, clock: Clock) -> list[BaseRoute]:
    """Return `/api/v1/bots`."""

    async def listed(request: Request) -> Response:
        principal = await access.principal(request.headers)
        async with database.read() as connection:
            rows = await bots.listed(connection, principal.tenant_id, principal.bot_ids)
        return JSONResponse({"bots": [_shown(row) for row in rows]})

    async def create(request: Request) -> Response:
        principal = await access.principal(request.headers)
        principal.require_admin()
        config = await json_object_of(request)
        bot_id = str(config.get("bot_id", ""))
        await vetting.require(_checked(bot_id, config))
        try:
            async with database.transaction() as connection:
                if await bots.get(connection, principal.tenant_id, bot_id) is not None:
                    raise _exists(bot_id)
                await bots.save(connection, principal.tenant_id, bot_id, config, clock())
        except IntegrityError as error:
            raise _exists(bot_id) from error
        return JSONResponse(await _read(principal.tenant_id, bot_id), 201)

    async def show(request: Request) -> Response:
        principal = await access.principal(request.headers)
        bot_id = request.path_params["bot_id"]
        if not principal.sees(bot_id):
            raise _unknown(bot_id)
        return JSONResponse(await _read(principal.tenant_id, bot_id))

    async def replace(request: Request) -> Response:
        principal = await access.principal(request.headers)
        principal.require_admin()
        bot_id = request.path_params["bot_id"]
        shown = {**await json_object_of(request), "bot_id": bot_id}
        # Vendors' names are looked up before the database is held, not meanwhile.
        async with database.read() as connection:
            current = await bots.get(connection, principal.tenant_id, bot_id)
        await vetting.require(_checked(bot_id, restored(shown, current and current.config)))
        async with database.transaction() as connection:
            current = await bots.get(connection, principal.tenant_id, bot_id)
            config = restored(shown, current and current.config)
            await bots.save(connection, principal.tenant_id, bot_id, config, clock())
        return JSONResponse(
            await _read(principal.tenant_id, bot_id), 201 if current is None else 200
        )

    async def remove(request: Request) -> Response:
        principal = await access.principal(request.headers)
        principal.require_admin()
        bot_id = request.path_params["bot_id"]
        async with database.transaction() as connection:
            if not await bots.remove(connection, principal.tenant_id, bot_id):
                raise _unknown(bot_id)
        return Response(status_code=204)

    async def versions(request: Request) -> Response:
        principal = await access.principal(request.headers)
        bot_id = request.path_params["bot_id"]
        async with database.read() as connection:
            found = await bots.versions(connection, principal.tenant_id, bot_id)
        if not found or not principal.sees(bot_id):
            raise _unknown(bot_id)
        rows = [{"version": version, "created_at": at.isoformat()} for version, at in found]
        return JSONResponse({"versions": rows})

    async def _read(tenant_id: str, bot_id: str) -> dict[str, Any]:
        async with database.read() as connection:
            row = await bots.get(connection, tenant_id, bot_id)
        if row is None:
            raise _unknown(bot_id)
        return _shown(row)

    return [
        Route("/api/v1/bots", listed),
        Route("/api/v1/bots", create, methods=["POST"]),
        Route("/api/v1/bots/{bot_id}", show),
        Route("/api/v1/bots/{bot_id}", replace, methods=["PUT"]),
        Route("/api/v1/bots/{bot_id}", remove, methods=["DELETE"]),
        Route("/api/v1/bots/{bot_id}/versions", versions),
    ]


def _shown(row: BotRow) -> dict[str, Any]:
    return {
        "bot_id": row.bot_id,
        "name": row.config.get("name", ""),
        "version": row.version,
        "config": masked(row.config),
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


def _checked(bot_id: str, config: dict[str, Any]) -> BotConfig:
    if not _BOT_ID.fullmatch(bot_id):
        raise Denied(
            Code.CONFIG_INVALID, "bot_id: 1-100 letters, digits, dots, dashes and underscores"
        )
    checked = validated(config)
    # What can neither sign nor be sent is told now, not by a result that does not arrive.
    try:
        secrets_of(checked.webhook_secret)
    except SecretInvalid as error:
        raise _unfit("webhook_secret", error) from error
    try:
        headers_of(checked.post_call_push or PostCallPush())
    except HeaderInvalid as error:
        raise _unfit("post_call_push", error) from error
    return checked


def _unfit(field: str, error: ValueError) -> Denied:
    fault = {"type": "value_error", "loc": [field], "msg": str(error)}
    return Denied(Code.CONFIG_INVALID, "the bot's config is invalid", details={"errors": [fault]})


def _exists(bot_id: str) -> Denied:
    return Denied(Code.BOT_EXISTS, f"bot {bot_id!r} exists; PUT makes a new version of it")


def _unknown(bot_id: str) -> Denied:
    return Denied(Code.BOT_UNKNOWN, f"there is no bot {bot_id!r}")
