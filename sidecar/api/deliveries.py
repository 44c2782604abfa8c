"""Deliveries as operators read and replay them: what went where, and what each attempt came to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.moment import Moment
from sidecar.access import Access, Principal
from sidecar.api.body import MAX_PAGE, body_of, integer, moment, words
from sidecar.api.calls import visible_bots
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.fault import unfit
from sidecar.origin import origin_of
from sidecar.store import deliveries
from sidecar.store.database import Database
from sidecar.store.deliveries import UNDELIVERED, Attempt, Delivery, DeliveryState, Wanted
from sidecar.wake import Wake


class _Replay(BaseModel):
    """Which deliveries are to be made once more; without a word, all that were given up."""

    model_config = ConfigDict(extra="forbid")

    states: list[DeliveryState] = Field(default=list(UNDELIVERED), min_length=1)
    bot_id: str | None = None
    call_id: str | None = None
    destination: str | None = None
    kind: str | None = None
    created_from: Moment | None = None
    created_before: Moment | None = None

    @property
    def wanted(self) -> Wanted:
        return Wanted(
            call_id=self.call_id,
            bot_ids=None if self.bot_id is None else [self.bot_id],
            states=self.states,
            destination=_origin(self.destination),
            kind=self.kind,
            created_from=self.created_from,
            created_before=self.created_before,
        )


def routes(access: Access, database: Database, clock: Clock, changed: Wake) -> list[BaseRoute]:
    """Return `/api/v1/deliveries`; `changed` is rung when some are due again."""

    async def listed(request: Request) -> Response:
        principal = await access.principal(request.headers)
        wanted = _wanted(request, principal)
        limit = integer(request, "limit", 50, least=1, most=MAX_PAGE)
        async with database.read() as connection:
            before = None
            if (place := request.query_params.get("before")) is not None:
                before = await deliveries.get(connection, principal.tenant_id, place)
                if before is None:
                    raise unfit("before", "there is no such delivery")
            rows = await deliveries.page(
                connection, principal.tenant_id, wanted, before=before, limit=limit
            )
            ids = [row.delivery_id for row in rows]
            attempts = await deliveries.attempts(connection, principal.tenant_id, ids)
        next_before = rows[-1].delivery_id if len(rows) == limit else None
        shown = [_shown(row, attempts) for row in rows]
        return JSONResponse({"deliveries": shown, "next_before": next_before})

    async def show(request: Request) -> Response:
        principal = await access.principal(request.headers)
        return JSONResponse(await _one(principal, request.path_params["delivery_id"]))

    async def replay(request: Request) -> Response:
        principal = await access.principal(request.headers)
        principal.require_admin()
        delivery_id = request.path_params["delivery_id"]
        await _replay(principal, Wanted(delivery_id=delivery_id))
        return JSONResponse(await _one(principal, delivery_id))

    async def replay_all(request: Request) -> Response:
        principal = await access.principal(request.headers)
        principal.require_admin()
        asked = await body_of(request, _Replay)
        return JSONResponse({"replayed": await _replay(principal, asked.wanted)})

    async def _one(principal: Principal, delivery_id: str) -> dict[str, Any]:
        async with database.read() as connection:
            row = await deliveries.get(connection, principal.tenant_id, delivery_id)
            attempts = await deliveries.attempts(connection, principal.tenant_id, [delivery_id])
        if row is None or not principal.sees(row.bot_id):
            raise Denied(Code.NOT_FOUND, "there is no such delivery")
        return {**_shown(row, attempts), "body": row.body}

    async def _replay(principal: Principal, wanted: Wanted) -> int:
        replayed = await database.run(
            lambda connection: deliveries.replay(connection, principal.tenant_id, wanted, clock())
        )
        changed.ring()
        return replayed

    return [
        Route("/api/v1/deliveries", listed),
        Route("/api/v1/deliveries/replay", replay_all, methods=["POST"]),
        Route("/api/v1/deliveries/{delivery_id}", show),
        Route("/api/v1/deliveries/{delivery_id}/replay", replay, methods=["POST"]),
    ]


def _wanted(request: Request, principal: Principal) -> Wanted:
    query = request.query_params
    return Wanted(
        call_id=query.get("call_id"),
        bot_ids=visible_bots(principal, words(request, "bot_id")),
        states=words(request, "state"),
        destination=_origin(query.get("destination")),
        kind=query.get("kind"),
        created_from=moment(request, "created_from"),
        created_before=moment(request, "created_before"),
    )


def _origin(destination: str | None) -> str | None:
    """Return the origin of what may be a whole URL; what is none, matches nothing."""
    return destination and (origin_of(destination) or destination)


def _shown(row: Delivery, attempts: Iterable[Attempt]) -> dict[str, Any]:
    is_pending = row.state == DeliveryState.PENDING
    return {
        "delivery_id": row.delivery_id,
        "call_id": row.call_id,
        "bot_id": row.bot_id,
        "kind": row.kind,
        "method": row.method,
        "url": row.url,
        "destination": row.destination,
        "state": row.state,
        "created_at": row.created_at.isoformat(),
        "next_attempt_at": row.due_at.isoformat() if is_pending else None,
        "settled_at": row.settled_at and row.settled_at.isoformat(),
        "last_error": row.last_error,
        "attempts": [
            {
                "attempt": attempt.attempt,
                "at": attempt.at.isoformat(),
                "status_code": attempt.status_code,
                "error": attempt.error,
                "duration_ms": round(attempt.duration_ms, 1),
                "response": attempt.response,
            }
            for attempt in attempts
            if attempt.delivery_id == row.delivery_id
        ],
    }
