"""What it means that somebody has joined a room by LiveKit's word: a web call's visitor is there.

A bridge tells when a phone is answered. Of a browser the agent tells, too, and the first to say so
is believed.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.ids import Channel
from contracts.report import LegAnswered
from sidecar.calls import Calls
from sidecar.clock import Clock
from sidecar.store import calls
from sidecar.store.calls import UNANSWERED, CallRow
from sidecar.store.database import Database


class Arrivals:
    """Takes note of visitors who come."""

    def __init__(self, database: Database, use_cases: Calls, clock: Clock) -> None:
        self._database = database
        self._calls = use_cases
        self._clock = clock

    async def joined(self, tenant_id: str, room_name: str, identity: str) -> None:
        """Note that somebody is there, who may be a web call's caller.

        In a room that somebody else has made the first to come is.
        """

        async with self._database.read() as connection:
            row = await calls.live_in(connection, tenant_id, room_name)
        if row is None or row.channel != Channel.WEB or row.state not in UNANSWERED:
            return
        if row.config is None:
            # Nothing but its end may change a call that is being planned; its agent finds them.
            return
        caller = row.caller_identity
        if not caller:
            caller = await self._database.run(lambda c: _caller(c, row, identity))
        if caller == identity:
            await self._calls.note(tenant_id, row.call_id, LegAnswered(at=self._clock()))


async def _caller(connection: AsyncConnection, seen: CallRow, identity: str) -> str:
    """Let whoever came first be the caller; return who that is."""
    row = await calls.get(connection, seen.tenant_id, seen.call_id)
    if row is None or row.is_ended or row.leg_identity:
        return row.leg_identity if row else ""
    await calls.save(connection, row, replace(row, leg_identity=identity))
    return identity
