"""Bots: made, read, changed and removed; every change is a version."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.exc import IntegrityError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.bot import BotConfig, PostCallPush
from contracts.open import unread as unread_of
from contracts.vendor.choice import ignored_options
from sidecar.access import Access
from sidecar.api.body import json_object_of
from sidecar.clock import Clock
from sidecar.configure import validated
from sidecar.credential import HeaderInvalid, headers_of
from sidecar.denial import Code, Denied
from sidecar.fault import fault
from sidecar.secrecy import masked, restored, unrestorable
from sidecar.signing import SecretInvalid, secrets_of
from sidecar.store import bots, knowledge
from sidecar.store.bots import BotRow
from sidecar.store.database import Database
from sidecar.vetting import Vetting

MAX_UNREAD = 50
_SHOWN = frozenset({"bot_id", "name", "version", "config", "created_at", "updated_at", "unread"})
"""What a config stands among in answers, and so in what is sent back."""
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
        bot_id, shown = _given(await json_object_of(request))
        config = _unmasked(shown, None)
        unread = await _require(principal.tenant_id, config)
        try:
            async with database.transaction() as connection:
                if await bots.get(connection, principal.tenant_id, bot_id) is not None:
                    raise _exists(bot_id)
                await bots.save(connection, principal.tenant_id, bot_id, config, clock())
        except IntegrityError as error:
            raise _exists(bot_id) from error
        return JSONResponse({**await _read(principal.tenant_id, bot_id), "unread": unread}, 201)

    async def show(request: Request) -> Response:
        principal = await access.principal(request.headers)
        bot_id = request.path_params["bot_id"]
        if not principal.sees(bot_id):
            raise _unknown(bot_id)
        return JSONResponse(await _read(principal.tenant_id, bot_id))

    async def replace(request: Request) -> Response:
        principal = await access.principal(request.headers)
        principal.require_admin()
        bot_id, shown = _given(await json_object_of(request), request.path_params["bot_id"])
        # Vendors' names are looked up before the database is held, not meanwhile.
        async with database.read() as connection:
            current = await bots.get(connection, principal.tenant_id, bot_id)
        unread = await _require(principal.tenant_id, _unmasked(shown, current))
        async with database.transaction() as connection:
            current = await bots.get(connection, principal.tenant_id, bot_id)
            config = _unmasked(shown, current)
            await bots.save(connection, principal.tenant_id, bot_id, config, clock())
        answer = {**await _read(principal.tenant_id, bot_id), "unread": unread}
        return JSONResponse(answer, 201 if current is None else 200)

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

    async def _require(tenant_id: str, config: dict[str, Any]) -> list[str]:
        """Return the keys of a config that could be saved, but which nothing will read."""
        kept = validated(config)
        completed = await vetting.require(tenant_id, kept, with_tools=True)
        # What can neither sign nor be sent is told now, not by a result that does not arrive.
        try:
            secrets_of(completed.webhook_secret)
        except SecretInvalid as error:
            raise _unfit("webhook_secret", str(error)) from error
        try:
            headers_of(completed.post_call_push or PostCallPush())
        except HeaderInvalid as error:
            raise _unfit("post_call_push", str(error)) from error
        await _require_knowledge(tenant_id, completed)
        return [*unread_of(kept), *ignored_options(kept)][:MAX_UNREAD]

    async def _require_knowledge(tenant_id: str, config: BotConfig) -> None:
        wanted = config.knowledge_kb_ids if config.knowledge_enabled else []
        async with database.read() as connection:
            known = await knowledge.known_among(connection, tenant_id, wanted)
        for at, kb_id in enumerate(wanted):
            if kb_id not in known:
                raise _unfit(f"knowledge_kb_ids.{at}", "there is no such knowledge base")

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


def _given(body: dict[str, Any], bot_id: str = "") -> tuple[str, dict[str, Any]]:
    """Return a bot's id and config, which are the body, or stand in it as `GET` shows them.

    Args:
        body: what was sent.
        bot_id: what the path says, where it says anything.

    Raises:
        Denied: the id is none or told differently, or there is more beside the config.
    """
    inner = body.get("config")
    config = inner if isinstance(inner, dict) else body
    if config is inner and (beside := sorted(body.keys() - _SHOWN)):
        raise _unfit(beside[0], "stands beside `config`: put it into it")
    told = [each for each in (bot_id, body.get("bot_id"), config.get("bot_id")) if each]
    if not told or not isinstance(told[0], str) or not _BOT_ID.fullmatch(told[0]):
        raise _unfit("bot_id", "1-100 letters, digits, dots, dashes and underscores")
    if any(each != told[0] for each in told):
        raise _unfit("bot_id", f"{told[0]!r} and another: give it once, or the same")
    return told[0], {**config, "bot_id": told[0]}


def _unmasked(shown: dict[str, Any], stored: BotRow | None) -> dict[str, Any]:
    """Return a config with its secrets in the places of their masks.

    Raises:
        Denied: one is not stored, or was given for another address.
    """
    known = stored and stored.config
    if found := [(".".join(path), why) for path, why in unrestorable(shown, known)]:
        raise _refused("the bot's config has masks for secrets", *(fault(*each) for each in found))
    config: dict[str, Any] = restored(shown, known)
    return config


def _unfit(field: str, message: str) -> Denied:
    return _refused(f"{field}: {message}", fault(field, message))


def _refused(message: str, *faults: dict[str, Any]) -> Denied:
    return Denied(Code.CONFIG_INVALID, message, details={"errors": [*faults]})


def _exists(bot_id: str) -> Denied:
    return Denied(Code.BOT_EXISTS, f"bot {bot_id!r} exists; PUT makes a new version of it")


def _unknown(bot_id: str) -> Denied:
    return Denied(Code.BOT_UNKNOWN, f"there is no bot {bot_id!r}")
