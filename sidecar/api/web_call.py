"""`POST /web_call/get_token`: a call in a browser, asked for by the site's own server."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.ids import AGENT_NAME
from sidecar.access import Access
from sidecar.api.body import body_of
from sidecar.api.dialout import PUBLIC_STATUS
from sidecar.api.errors import denied_response
from sidecar.denial import Code, Denied
from sidecar.dialled import MAX_BOT_ID_CHARS
from sidecar.web_call import Entry, Visit, WebCalls


class TokenBody(BaseModel):
    """What is asked for; `assistant_id` is a bot's id."""

    assistant_id: str = Field(min_length=1, max_length=MAX_BOT_ID_CHARS)
    metadata: dict[str, Any] | None = None
    text_only: bool = False


def routes(access: Access, web_calls: WebCalls) -> list[BaseRoute]:
    """Return the door, by both its names."""

    async def get_token(request: Request) -> Response:
        try:
            principal = await access.integrator(request.headers)
            body = await body_of(request, TokenBody)
            if not principal.sees(body.assistant_id):
                raise Denied(Code.BOT_UNKNOWN, f"there is no bot {body.assistant_id!r}")
            entry = await web_calls.open(
                principal.tenant_id,
                Visit(
                    bot_id=body.assistant_id,
                    metadata=body.metadata or {},
                    text_only=body.text_only,
                ),
            )
        except Denied as denied:
            return denied_response(denied, PUBLIC_STATUS)
        answer = {"success": True, "message": "the agent waits in the room", "data": _data(entry)}
        return JSONResponse(answer)

    return [
        Route("/web_call/get_token", get_token, methods=["POST"]),
        Route("/web_call/getToken", get_token, methods=["POST"]),
    ]


def _data(entry: Entry) -> dict[str, Any]:
    return {
        "room_name": entry.room_name,
        "token": entry.token,
        "agent_dispatch": {"agent_name": AGENT_NAME, "room": entry.room_name},
        "server_url": entry.server_url,
        "call_id": entry.call_id,
        "session_id": entry.session_id,
    }
