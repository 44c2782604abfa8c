"""Paths of another family's platform, for clients written for it: numbers, trunks to dial by.

A bot is an `assistant` there, a number's normal form its `inbound_id`, and a key a bearer's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access, Principal, with_bearer
from sidecar.api.body import body_of
from sidecar.dialled import MAX_BOT_ID_CHARS
from sidecar.number_book import NumberBook
from sidecar.store import bots, numbers
from sidecar.store.database import Database
from sidecar.store.numbers import NumberRow
from sidecar.trunk_book import TrunkBook

SERVICE = "exotel"
EXOTEL_PORT = 5070
"""Where Exotel takes calls by SIP over TCP."""

AssistantId = Annotated[str, Field(min_length=1, max_length=MAX_BOT_ID_CHARS)]


class _InboundConfig(BaseModel):
    phone_number: str = Field(min_length=1, max_length=200)
    type: str = SERVICE


class _Assign(BaseModel):
    assistant_id: AssistantId
    service: Literal["exotel"]
    inbound_config: _InboundConfig
    inbound_context_strategy_id: None = None
    """Such strategies are a bot's own here (`crm_prefetch`)."""


class _Update(BaseModel):
    assistant_id: AssistantId
    inbound_context_strategy_id: None = None


class _Twilio(BaseModel):
    model_config = ConfigDict(extra="forbid")

    address: str = Field(min_length=1)
    numbers: list[str] = Field(min_length=1)
    username: str = ""
    password: str = ""


class _Exotel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    exotel_number: str = Field(min_length=1)
    sip_host: str = Field(min_length=1)
    sip_port: int = Field(default=EXOTEL_PORT, ge=1, le=65_535)
    sip_domain: str | None = None


class _TwilioTrunk(BaseModel):
    trunk_name: str = Field(min_length=1, max_length=100)
    trunk_type: Literal["twilio"]
    trunk_config: _Twilio
    passthrough_mode: Literal[False] = False

    def config(self) -> dict[str, Any]:
        return {
            "name": self.trunk_name,
            "kind": "managed",
            "service": self.trunk_type,
            **self.trunk_config.model_dump(),
        }


class _ExotelTrunk(BaseModel):
    trunk_name: str = Field(min_length=1, max_length=100)
    trunk_type: Literal["exotel"]
    trunk_config: _Exotel
    passthrough_mode: Literal[False] = False

    def config(self) -> dict[str, Any]:
        its = self.trunk_config
        return {
            "name": self.trunk_name,
            "kind": "bridge",
            "service": self.trunk_type,
            "address": f"{its.sip_host}:{its.sip_port}",
            "transport": "tcp",
            "domain": its.sip_domain or "",
            "numbers": [its.exotel_number],
            "number_format": "national",
        }


_AnyTrunk = Annotated[_TwilioTrunk | _ExotelTrunk, Field(discriminator="trunk_type")]


class _NewTrunk(RootModel[_AnyTrunk]):
    pass


def routes(
    access: Access, database: Database, book: NumberBook, trunk_book: TrunkBook
) -> list[BaseRoute]:
    """Return `/inbound/…` and `/sip/create-outbound-trunk`."""

    async def assign(request: Request) -> Response:
        principal = await _admin(request)
        asked = await body_of(request, _Assign)
        number = asked.inbound_config.phone_number
        row = await book.add(principal.tenant_id, number, asked.assistant_id, None)
        shown = {**_shown(row), "phone_number": number}
        return _enveloped("the number is assigned", shown)

    async def change(request: Request) -> Response:
        principal = await _admin(request)
        asked = await body_of(request, _Update)
        return await _give(principal, request, asked.assistant_id, "the number is assigned")

    async def detach(request: Request) -> Response:
        principal = await _admin(request)
        return await _give(principal, request, None, "the number is kept, but not answered")

    async def remove(request: Request) -> Response:
        principal = await _admin(request)
        row = await book.get(principal.tenant_id, request.path_params["inbound_id"])
        await book.free(principal.tenant_id, row.number)
        return _enveloped("the number is free", {"inbound_id": row.number})

    async def listed(request: Request) -> Response:
        principal = await access.principal(with_bearer(request.headers))
        bot_ids = None if principal.bot_ids is None else list(principal.bot_ids)
        async with database.read() as connection:
            rows = await numbers.listed(connection, principal.tenant_id, bot_ids)
            found = await bots.listed(connection, principal.tenant_id, bot_ids)
        names = {bot.bot_id: bot.config.get("name", "") for bot in found}
        shown = [
            {
                **_shown(row),
                "assistant_name": names.get(row.bot_id or "", ""),
                "created_at": row.created_at.isoformat(),
                "updated_at": row.updated_at.isoformat(),
            }
            for row in rows
        ]
        return _enveloped("your numbers", shown)

    async def make_trunk(request: Request) -> Response:
        principal = await _admin(request)
        asked = await body_of(request, _NewTrunk)
        row = await trunk_book.make(principal.tenant_id, asked.root.config())
        return _enveloped("the trunk is made", {"trunk_id": row.trunk_id})

    async def _give(
        principal: Principal, request: Request, bot_id: str | None, message: str
    ) -> Response:
        known = await book.get(principal.tenant_id, request.path_params["inbound_id"])
        row, _ = await book.put(principal.tenant_id, known.number, bot_id, known.trunk_id)
        return _enveloped(message, _shown(row))

    async def _admin(request: Request) -> Principal:
        principal = await access.principal(with_bearer(request.headers))
        principal.require_admin()
        return principal

    return [
        Route("/inbound/assign", assign, methods=["POST"]),
        Route("/inbound/update/{inbound_id}", change, methods=["PATCH"]),
        Route("/inbound/detach/{inbound_id}", detach, methods=["POST"]),
        Route("/inbound/delete/{inbound_id}", remove, methods=["DELETE"]),
        Route("/inbound/list", listed),
        Route("/sip/create-outbound-trunk", make_trunk, methods=["POST"]),
    ]


def _shown(row: NumberRow) -> dict[str, Any]:
    return {
        "inbound_id": row.number,
        "assistant_id": row.bot_id,
        "service": SERVICE,
        "phone_number": row.number,
        "phone_number_normalized": row.number,
    }


def _enveloped(message: str, data: Any) -> Response:
    return JSONResponse({"success": True, "message": message, "data": data})
