"""`POST /attach`: a campaign's dialler has somebody on the line, for a bot to talk to."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access
from sidecar.api.body import body_of
from sidecar.api.errors import text_response
from sidecar.api.livekit import in_its_words
from sidecar.denial import Denied
from sidecar.dialled import MAX_BOT_ID_CHARS
from sidecar.elsewhere import ConfigUrls
from sidecar.inbound import Attachment, Inbound

MAX_NAME_CHARS = 200
MAX_URL_CHARS = 2000
CAMPAIGN_CALL_ID = "_campaign_call_id"
"""Where results and the platform's own parts look for it; it never becomes a variable."""


class AttachBody(BaseModel):
    """The room, the bot, and what it is to know of the call."""

    room_name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    bot_id: str = Field(min_length=1, max_length=MAX_BOT_ID_CHARS)
    to_number: str | None = Field(default=None, max_length=MAX_NAME_CHARS)
    from_number: str | None = Field(default=None, max_length=MAX_NAME_CHARS)
    config_url: str | None = Field(default=None, max_length=MAX_URL_CHARS)
    connected_event: dict[str, Any] | None = None
    campaign_call_id: str | None = Field(default=None, max_length=MAX_NAME_CHARS)


def routes(access: Access, inbound: Inbound, config_urls: ConfigUrls) -> list[BaseRoute]:
    """Return the door."""

    async def attach(request: Request) -> Response:
        try:
            tenant_id = access.require_service(request.headers)
            body = await body_of(request, AttachBody)
            event = dict(body.connected_event or {})
            if body.campaign_call_id:
                event[CAMPAIGN_CALL_ID] = body.campaign_call_id
            wanted = Attachment(
                room_name=body.room_name,
                bot_id=body.bot_id,
                to_number=body.to_number or "",
                from_number=body.from_number or "",
                connected_event=event,
                configs=config_urls.at(body.config_url).configs if body.config_url else None,
            )
            call_id = await inbound.attach(tenant_id, wanted)
        except Denied as denied:
            return text_response(in_its_words(denied))
        return JSONResponse({"status": "accepted", "call_id": call_id, "room_name": body.room_name})

    return [Route("/attach", attach, methods=["POST"])]
