"""Doors that have a phone called at once, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from pydantic import BaseModel, Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access, with_bearer
from sidecar.api.body import body_of
from sidecar.api.errors import STATUS, denied_response, text_response
from sidecar.api.livekit import in_its_words
from sidecar.denial import Code, Denied
from sidecar.dialled import MAX_BOT_ID_CHARS
from sidecar.dialout import CallOrder, Dialout, key_of
from sidecar.elsewhere import ConfigUrls

MAX_NUMBER_CHARS = 64
MAX_URL_CHARS = 2000
IDEMPOTENCY_HEADER = "Idempotency-Key"
PUBLIC_STATUS = {**STATUS, Code.AT_CAPACITY: 503, Code.TRUNK_BUSY: 503}
"""Its clients know 503 as "no capacity now"."""


class DialoutBody(BaseModel):
    """`POST /api/v1/sip/dialout`. `variables` is an older name of `connected_event`."""

    bot_id: str = Field(min_length=1, max_length=MAX_BOT_ID_CHARS)
    to_number: str = Field(min_length=1, max_length=MAX_NUMBER_CHARS)
    from_number: str | None = Field(default=None, max_length=MAX_NUMBER_CHARS)
    variables: dict[str, Any] | None = None
    connected_event: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.variables is not None and self.connected_event is not None:
            raise ValueError("send `variables` or `connected_event`, not both")
        return self


class FleetDialoutBody(BaseModel):
    """`POST /livekit/dialout`. `config_url` is whose bot, and whose trunk, it is."""

    bot_id: str = Field(min_length=1, max_length=MAX_BOT_ID_CHARS)
    to_number: str = Field(min_length=1, max_length=MAX_NUMBER_CHARS)
    from_number: str | None = Field(default=None, max_length=MAX_NUMBER_CHARS)
    connected_event: dict[str, Any] | None = None
    config_url: str | None = Field(default=None, max_length=MAX_URL_CHARS)


def routes(
    access: Access, dialout: Dialout, config_urls: ConfigUrls, new_id: Callable[[], str]
) -> list[BaseRoute]:
    """Return the doors."""

    async def public(request: Request) -> Response:
        try:
            principal = await access.principal(with_bearer(request.headers))
            body = await body_of(request, DialoutBody)
            if not principal.sees(body.bot_id):
                raise Denied(Code.BOT_UNKNOWN, f"there is no bot {body.bot_id!r}")
            plan = await dialout.place(
                CallOrder(
                    tenant_id=principal.tenant_id,
                    bot_id=body.bot_id,
                    to_number=body.to_number,
                    from_number=body.from_number or "",
                    connected_event=body.variables or body.connected_event or {},
                    key=_key(request, "dialout"),
                )
            )
        except Denied as denied:
            return denied_response(denied, PUBLIC_STATUS)
        return JSONResponse({"status": "ok", "call_id": plan.call_id})

    async def fleet(request: Request) -> Response:
        try:
            tenant_id = access.require_service(request.headers)
            body = await body_of(request, FleetDialoutBody)
            plan = await dialout.place(
                CallOrder(
                    tenant_id=tenant_id,
                    bot_id=body.bot_id,
                    to_number=body.to_number,
                    from_number=body.from_number or "",
                    connected_event=body.connected_event or {},
                    key=_key(request, "livekit"),
                    elsewhere=config_urls.at(body.config_url) if body.config_url else None,
                )
            )
        except Denied as denied:
            return text_response(in_its_words(denied))
        answer = {"status": "accepted", "call_id": plan.call_id, "room_name": plan.room_name}
        return JSONResponse(answer)

    def _key(request: Request, door: str) -> str:
        return key_of(door, request.headers.get(IDEMPOTENCY_HEADER, ""), new_id())

    return [
        Route("/api/v1/sip/dialout", public, methods=["POST"]),
        Route("/livekit/dialout", fleet, methods=["POST"]),
    ]
