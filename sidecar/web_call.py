"""Calls of browsers: a room with an agent in it, and a token that lets one visitor in.

A dispatch that LiveKit took proves nothing: a token is given out once the agent itself has said
that it is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.plan import MediaRate, PlanRequest
from contracts.report import AgentJoined
from sidecar.calls import Calls
from sidecar.capacity import RETRY_AFTER_S
from sidecar.denial import Code, Denied
from sidecar.planning import Planner
from sidecar.rooms import RoomError, Rooms
from sidecar.settings import Settings
from sidecar.store import calls, events
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.wake import Bells, Wake

log = structlog.get_logger(__name__)

MEDIA_RATE_HZ: MediaRate = 24_000
"""What the offline voices speak at; a browser's line carries twice that."""
CALLER_ID = "widget-user"
"""Who calls, where nobody says: by contract."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Somebody with a browser wants to talk to a bot.

    Attributes:
        metadata: what the bot is told, as `call.*`.
        text_only: whether they type and read.
    """

    bot_id: str
    metadata: dict[str, Any] = field(default_factory=dict)
    text_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where a browser is to go.

    Attributes:
        server_url: LiveKit, as browsers reach it.
        token: joins that one room, once or again, until it expires.
    """

    call_id: str
    session_id: str
    room_name: str
    server_url: str
    token: str = field(repr=False)


class WebCalls:
    """Opens calls for browsers."""

    def __init__(
        self,
        database: Database,
        planner: Planner,
        use_cases: Calls,
        rooms: Rooms,
        settings: Settings,
        *,
        bells: Bells,
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._planner = planner
        self._calls = use_cases
        self._rooms = rooms
        self._settings = settings
        self._bells = bells
        self._new_id = new_id

    async def open(self, tenant_id: str, visit: Visit) -> Entry:
        """Plan a call, and return where to join it once its agent has.

        Raises:
            Denied: there is no slot, no such bot, or no agent in time; no slot is kept.
        """
        request = self._request(visit.bot_id, visit.metadata)
        request = request.model_copy(update={"text_only": visit.text_only})
        row = await self._planner.planned(tenant_id, request)
        await self._joined(row)
        token = self._rooms.visitor_token(
            row.room_name,
            row.caller_identity,
            text_only=row.text_only,
            ttl=timedelta(seconds=self._settings.web_token_ttl_s),
        )
        return Entry(
            call_id=row.call_id,
            session_id=row.session_id,
            room_name=row.room_name,
            server_url=self._settings.browser_url,
            token=token,
        )

    async def join(self, tenant_id: str, bot_id: str, room_name: str, caller_id: str) -> str:
        """Have a bot come into a room where a visitor is, or will be; return the call's id.

        Whatever comes between is told by the call's result. The first to be there but agents is
        the visitor.

        Raises:
            Denied: there is no slot, or the room is another call's.
        """
        try:
            attendance = await self._rooms.attendance(room_name)
        except RoomError as error:
            raise Denied(
                Code.ROOM_UNAVAILABLE,
                "LiveKit does not tell who is in the room",
                details={"error": str(error)},
                retry_after_s=1,
            ) from error
        request = self._request(bot_id, {})
        there = {
            "caller_id": caller_id,
            "room_name": room_name,
            "caller_identity": next(iter(attendance.identities), ""),
        }
        row = await self._planner.accept(tenant_id, request.model_copy(update=there))
        return row.call_id

    def _request(self, bot_id: str, metadata: dict[str, Any]) -> PlanRequest:
        return PlanRequest(
            channel=Channel.WEB,
            bot_id=bot_id,
            caller_id=CALLER_ID,
            connected_event=metadata,
            idempotency_key=f"web {self._new_id()}",
            media="tracks",
            media_rate_hz=MEDIA_RATE_HZ,
        )

    async def _joined(self, row: CallRow) -> None:
        """Return once the call's agent is in its room.

        Raises:
            Denied: it was not in time, or the call is over; its slot is free again.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.web_join_timeout_s
        while not self._bells.parting.is_set():
            armed = self._bells.events.armed()
            async with self._database.read() as connection:
                now = await calls.get(connection, row.tenant_id, row.call_id)
                facts = await events.facts(connection, row.tenant_id, row.call_id)
            if now is None or now.is_ended or now.end_at is not None:
                break
            if any(isinstance(fact, AgentJoined) for fact in facts):
                return
            left_s = until - loop.time()
            if left_s <= 0:
                break
            await Wake.wait(armed, left_s)
        await self._give_up(row)
        raise Denied(Code.NO_AGENT, "no agent joined the call in time", retry_after_s=RETRY_AFTER_S)

    async def _give_up(self, row: CallRow) -> None:
        """End a call whose visitor is sent away, however it moves meanwhile."""
        log.warning("web_call_without_agent", call_id=row.call_id)
        while True:
            async with self._database.read() as connection:
                now = await calls.get(connection, row.tenant_id, row.call_id)
            if now is None or now.is_ended:
                return
            if await self._calls.finish(now, Reason.NO_AGENT, "no agent joined in time"):
                return
