"""`POST /call/outbound`: a call that may wait a little for a free slot, and how it stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access, with_bearer
from sidecar.api.body import body_of
from sidecar.api.dialout import IDEMPOTENCY_HEADER, MAX_NUMBER_CHARS
from sidecar.denial import Code, Denied
from sidecar.dialled import MAX_BOT_ID_CHARS
from sidecar.dialout import Dialout
from sidecar.queue import CallQueue, Wish
from sidecar.store.queue import QueueItem


class OutboundBody(BaseModel):
    """What is asked for; `assistant_id` is a bot's id."""

    assistant_id: str = Field(min_length=1, max_length=MAX_BOT_ID_CHARS)
    trunk_id: str = Field(min_length=1, max_length=64)
    to_number: str = Field(min_length=1, max_length=MAX_NUMBER_CHARS)
    call_service: Literal["twilio", "exotel"]
    metadata: dict[str, Any] | None = None


def routes(access: Access, dialout: Dialout, queue: CallQueue) -> list[BaseRoute]:
    """Return `/call/outbound` and `/call/queue`."""

    async def ask(request: Request) -> Response:
        principal = await access.principal(with_bearer(request.headers))
        body = await body_of(request, OutboundBody)
        if not principal.sees(body.assistant_id):
            raise _unknown(body.assistant_id)
        await dialout.require_bot(principal.tenant_id, body.assistant_id)
        wish = Wish(
            bot_id=body.assistant_id,
            trunk_id=body.trunk_id,
            to_number=body.to_number,
            call_service=body.call_service,
            metadata=body.metadata or {},
            key=request.headers.get(IDEMPOTENCY_HEADER, ""),
        )
        item = await queue.add(principal.tenant_id, wish)
        answer = {"queue_id": item.queue_id, "status": "pending"}
        return _enveloped("the call is queued", answer, status=202)

    async def show(request: Request) -> Response:
        principal = await access.principal(with_bearer(request.headers))
        item = await queue.get(principal.tenant_id, request.path_params["queue_id"])
        if item is None or not principal.sees(item.bot_id):
            raise Denied(Code.QUEUE_ITEM_UNKNOWN, "there is no such queued call")
        return _enveloped("how the queued call stands", _shown(item))

    return [
        Route("/call/outbound", ask, methods=["POST"]),
        Route("/call/queue/{queue_id}", show),
    ]


def _enveloped(message: str, data: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse({"success": True, "message": message, "data": data}, status)


def _shown(item: QueueItem) -> dict[str, Any]:
    return {
        "queue_id": item.queue_id,
        "status": item.state,
        "to_number": item.to_number,
        "call_service": item.call_service,
        "queued_at": _iso(item.queued_at),
        "dispatched_at": _iso(item.dispatched_at),
        "retry_count": item.retry_count,
        "last_error": item.last_error,
        "call_id": item.call_id,
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _unknown(bot_id: str) -> Denied:
    return Denied(Code.BOT_UNKNOWN, f"there is no bot {bot_id!r}")
