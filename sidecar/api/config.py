"""`GET /api/v1/config/{bot_id}`: our bots for another runtime, rendered for one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts import template
from sidecar.access import Access
from sidecar.clock import Clock
from sidecar.configure import (
    ConfigQuery,
    ConfigSource,
    Configured,
    prepare,
    rendered,
    require_open,
    session_id_of,
)
from sidecar.crm import Crm, PrefetchFailed, wanted
from sidecar.keyring import Keyring
from sidecar.progress import LISTENING

log = structlog.get_logger(__name__)


def routes(
    access: Access,
    own_bots: ConfigSource,
    crm: Crm,
    keyring: Keyring,
    clock: Clock,
    new_id: Callable[[], str],
) -> list[BaseRoute]:
    """Return the config endpoint."""

    async def config(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        event = _event(request.query_params.get("connected_event", ""))
        query = ConfigQuery(
            tenant_id,
            request.path_params["bot_id"],
            request.query_params.get("caller_id", ""),
            request.query_params.get("stream_id", ""),
            event,
        )
        kept = await own_bots.fetch(query)
        written = kept.model_dump(mode="json")
        await keyring.load(tenant_id, written)
        # The other runtime cannot look up what is only named here.
        found = keyring.for_use(tenant_id, written)
        now = clock()
        require_open(found, now)
        variables = await _variables(prepare(found, query, now), event)
        shown = rendered(found, variables).model_dump(mode="json")
        shown["session_id"] = session_id_of(found, event) or new_id()
        # The CRM has been asked; the other runtime need not ask again.
        shown["crm_prefetch"] = None
        return JSONResponse(shown)

    async def _variables(configured: Configured, event: dict[str, Any]) -> dict[str, str]:
        variables, prefetch = configured.variables, wanted(configured.config, event)
        if prefetch is None:
            return variables
        try:
            # Whether a caller listens already is not in the question.
            found = await crm.fields(prefetch, variables, LISTENING.total_seconds())
        except PrefetchFailed as failed:
            log.warning("crm_prefetch_failed", reason=failed.failure, **failed.detail)
            return variables
        return {**variables, **template.namespaced("crm", found)}

    return [Route("/api/v1/config/{bot_id}", config)]


def _event(text: str) -> dict[str, Any]:
    """Malformed JSON counts as an empty event, by the family's contract."""
    try:
        event = from_json(text, allow_inf_nan=False)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
