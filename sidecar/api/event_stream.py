"""`GET /api/v1/events`: what happens, live, resumable without a gap or a repeat (SSE)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import monotonic

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from contracts.event import Event
from sidecar.access import Access
from sidecar.api.body import MAX_DIGITS, integer, words
from sidecar.api.calls import visible_bots
from sidecar.fault import unfit
from sidecar.store import events
from sidecar.store.database import Database
from sidecar.wake import Wake

PING_S = 15
LONGEST_WAIT_S = 5.0
RECHECK_S = 30.0
"""How long a key that was switched off may go on listening."""
BATCH = 500
HIGHEST_SEQUENCE = 2**62


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events somebody wants, and may have."""

    tenant_id: str
    call_id: str | None
    bot_ids: list[str] | None
    types: list[str]


def routes(access: Access, database: Database, changed: Wake) -> list[BaseRoute]:
    """Return the event stream."""

    async def stream(request: Request) -> Response:
        principal = await access.principal(request.headers)
        wanted = Filter(
            principal.tenant_id,
            request.query_params.get("call_id"),
            visible_bots(principal, words(request, "bot_id")),
            words(request, "type"),
        )
        resumed = _resumed(request)
        async with database.read() as connection:
            newest = await events.last_sequence(connection)
        # A number from beyond the newest is another database's: what it saw will not come again.
        position = newest if resumed is None else min(resumed, newest)

        async def messages() -> AsyncIterator[ServerSentEvent]:
            checked_at = monotonic()
            async for event in follow(database, changed, wanted, position):
                if monotonic() - checked_at >= RECHECK_S:
                    if not await access.still_admits(request.headers):
                        return
                    checked_at = monotonic()
                yield _message(event)

        return EventSourceResponse(messages(), ping=PING_S)

    return [Route("/api/v1/events", stream)]


async def follow(
    database: Database, changed: Wake, wanted: Filter, position: int
) -> AsyncIterator[Event]:
    """Yield the wanted events after `position`, in order, for ever."""
    while True:
        armed = changed.armed()
        # A listener that leaves must not tear a connection down in the middle of a query.
        batch, position = await asyncio.shield(_batch(database, wanted, position))
        for event in batch:
            yield event
        if not batch:
            await Wake.wait(armed, LONGEST_WAIT_S)


async def _batch(database: Database, wanted: Filter, position: int) -> tuple[list[Event], int]:
    """Return the next events and the position behind them, and behind all that are not wanted."""
    async with database.read() as connection:
        newest = await events.last_sequence(connection)
        batch = await events.after(
            connection,
            wanted.tenant_id,
            position,
            call_id=wanted.call_id,
            bot_ids=wanted.bot_ids,
            types=wanted.types,
            limit=BATCH,
        )
    if len(batch) == BATCH:
        return batch, batch[-1].sequence
    # What was committed after `newest` was read may be in the batch already.
    return batch, max(newest, batch[-1].sequence if batch else position)


def _resumed(request: Request) -> int | None:
    last_id = request.headers.get("Last-Event-ID", "")
    if last_id:
        if not last_id.isdecimal() or len(last_id) > MAX_DIGITS:
            raise unfit("Last-Event-ID", "not a sequence number")
        return int(last_id)
    if "after" in request.query_params:
        return integer(request, "after", 0, most=HIGHEST_SEQUENCE)
    return None


def _message(event: Event) -> ServerSentEvent:
    return ServerSentEvent(event.model_dump_json(), id=str(event.sequence), event=event.type.value)
