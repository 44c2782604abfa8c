"""What LiveKit's server posts to us."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.api.body import raw_body
from sidecar.loss import Losses
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.webhook import ParticipantLost, RoomFinished, WebhookReader


def routes(reader: WebhookReader, losses: Losses) -> list[BaseRoute]:
    """Return `/api/v1/livekit/webhook`."""

    async def webhook(request: Request) -> Response:
        body = await raw_body(request)
        match reader.read(body, request.headers.get("Authorization", "")):
            case RoomFinished(room_name):
                await losses.room(DEFAULT_TENANT, room_name)
            case ParticipantLost(room_name, identity, reason):
                await losses.participant(DEFAULT_TENANT, room_name, identity, reason)
            case None:
                pass
        return JSONResponse({"ok": True})

    return [Route("/api/v1/livekit/webhook", webhook, methods=["POST"])]
