"""A bot's widget: a token for whoever opens it on a page, and a bot for a visitor's own room."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access
from sidecar.api.body import body_of
from sidecar.api.dialout import PUBLIC_STATUS
from sidecar.api.errors import denied_response, text_response
from sidecar.api.livekit import in_its_words
from sidecar.denial import Denied
from sidecar.dialled import MAX_BOT_ID_CHARS
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.web_call import CALLER_ID, Visit, WebCalls
from sidecar.widget import Knock, WidgetDoor, told

MAX_NAME_CHARS = 200
PREFLIGHT_S = 600
_ANY_ORIGIN = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After",
}
_PREFLIGHT = {
    **_ANY_ORIGIN,
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": str(PREFLIGHT_S),
}


class WidgetBody(BaseModel):
    """`POST /api/v1/widget/token`."""

    bot_id: str = Field(min_length=1, max_length=MAX_BOT_ID_CHARS)
    api_key: str = Field(default="", max_length=MAX_NAME_CHARS)
    metadata: dict[str, Any] | None = None
    text_only: bool = False


class VisitBody(BaseModel):
    """`POST /livekit/widget`: a visitor is in a room, or will be, and wants a bot there."""

    bot_id: str = Field(min_length=1, max_length=MAX_BOT_ID_CHARS)
    room_name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    caller_id: str = Field(default=CALLER_ID, max_length=MAX_NAME_CHARS)


def routes(access: Access, door: WidgetDoor, web_calls: WebCalls) -> list[BaseRoute]:
    """Return the doors."""

    async def preflight(_: Request) -> Response:
        # It does not say which bot is meant: that page may have it is told by the answer itself.
        return Response(status_code=204, headers=_PREFLIGHT)

    async def token(request: Request) -> Response:
        origin = request.headers.get("Origin", "")
        cors = _ANY_ORIGIN
        try:
            body = await body_of(request, WidgetBody)
            address = request.client.host if request.client else ""
            knock = Knock(body.bot_id, body.api_key, origin, address)
            config = await door.admit(DEFAULT_TENANT, knock)
            if config.widget_allowed_origins:
                cors = {**cors, "Access-Control-Allow-Origin": origin, "Vary": "Origin"}
            visit = Visit(
                bot_id=body.bot_id,
                metadata=told(body.metadata or {}),
                text_only=body.text_only,
            )
            entry = await web_calls.open(DEFAULT_TENANT, visit)
        except Denied as denied:
            refusal = denied_response(denied, PUBLIC_STATUS)
            refusal.headers.update(cors)
            return refusal
        answer = {
            "server_url": entry.server_url,
            "participant_token": entry.token,
            "call_id": entry.call_id,
            "room_name": entry.room_name,
        }
        return JSONResponse(answer, 201, cors)

    async def visit(request: Request) -> Response:
        try:
            tenant_id = access.require_service(request.headers)
            body = await body_of(request, VisitBody)
            call_id = await web_calls.join(tenant_id, body.bot_id, body.room_name, body.caller_id)
        except Denied as denied:
            return text_response(in_its_words(denied))
        return JSONResponse({"status": "accepted", "call_id": call_id})

    return [
        Route("/api/v1/widget/token", preflight, methods=["OPTIONS"]),
        Route("/api/v1/widget/token", token, methods=["POST"]),
        Route("/livekit/widget", visit, methods=["POST"]),
    ]
