"""`GET /api/v1/config/{bot_id}`: our bots for another runtime, rendered for one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access
from sidecar.clock import Clock
from sidecar.configure import ConfigQuery, ConfigSource, prepare, require_open, session_id_of


def routes(
    access: Access, own_bots: ConfigSource, clock: Clock, new_id: Callable[[], str]
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
        found = await own_bots.fetch(query)
        now = clock()
        require_open(found, now)
        rendered = prepare(found, event, now).config.model_dump(mode="json")
        rendered["session_id"] = session_id_of(found, event) or new_id()
        return JSONResponse(rendered)

    return [Route("/api/v1/config/{bot_id}", config)]


def _event(text: str) -> dict[str, Any]:
    """Malformed JSON counts as an empty event, by the family's contract."""
    try:
        event = from_json(text, allow_inf_nan=False)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
