"""What LiveKit's server posts to us, and what the family's control plane makes of the same."""

from __future__ import annotations

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access
from sidecar.api.body import body_of, raw_body
from sidecar.api.errors import text_response
from sidecar.arrival import Arrivals
from sidecar.denial import Code, Denied
from sidecar.departure import Departures
from sidecar.inbound import Inbound
from sidecar.loss import Losses
from sidecar.sip_caller import SipCaller
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.webhook import (
    ParticipantLeft,
    PersonJoined,
    PhoneJoined,
    RoomFinished,
    WebhookReader,
)

MAX_NAME_CHARS = 200
AT_CAPACITY = "At capacity"
"""By contract."""


class DispatchBody(BaseModel):
    """`POST /livekit/dispatch`: a phone waits in a room for a bot."""

    room_name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    caller_number: str = Field(max_length=MAX_NAME_CHARS)
    dialed_number: str = Field(max_length=MAX_NAME_CHARS)
    call_id: str = Field(default="", max_length=MAX_NAME_CHARS)


def routes(
    access: Access,
    reader: WebhookReader,
    losses: Losses,
    departures: Departures,
    arrivals: Arrivals,
    inbound: Inbound,
) -> list[BaseRoute]:
    """Return `/api/v1/livekit/webhook` and `/livekit/dispatch`."""

    async def webhook(request: Request) -> Response:
        body = await raw_body(request)
        match reader.read(body, request.headers.get("Authorization", "")):
            case RoomFinished(room_name):
                await losses.room(DEFAULT_TENANT, room_name)
            case ParticipantLeft(room_name, identity, reason):
                await departures.left(DEFAULT_TENANT, room_name, identity, reason)
            case PersonJoined(room_name, identity):
                await arrivals.joined(DEFAULT_TENANT, room_name, identity)
            case PhoneJoined(caller):
                try:
                    await inbound.dispatch(DEFAULT_TENANT, caller)
                except Denied as denied:
                    return text_response(in_its_words(denied, no_agent="No healthy fleet"))
            case None:
                pass
        return JSONResponse({"ok": True})

    async def dispatch(request: Request) -> Response:
        try:
            tenant_id = access.require_service(request.headers)
            body = await body_of(request, DispatchBody)
            caller = SipCaller(
                room_name=body.room_name,
                # Whoever asks does not tell under which name it is in the room.
                identity="",
                caller_id=body.caller_number,
                dialled=body.dialed_number,
                call_ref=body.call_id,
            )
            call_id = await inbound.dispatch(tenant_id, caller)
        except Denied as denied:
            return text_response(in_its_words(denied))
        return JSONResponse({"status": "accepted", "call_id": body.call_id or call_id})

    return [
        Route("/api/v1/livekit/webhook", webhook, methods=["POST"]),
        Route("/livekit/dispatch", dispatch, methods=["POST"]),
    ]


def in_its_words(denied: Denied, *, no_agent: str = "") -> Denied:
    """Return a refusal in the words of the contract, where it has words for it."""
    message = denied.message
    if denied.code is Code.AT_CAPACITY:
        message = AT_CAPACITY
    elif denied.code is Code.NO_AGENT and no_agent:
        message = no_agent
    return Denied(denied.code, message, details=denied.details, retry_after_s=denied.retry_after_s)
