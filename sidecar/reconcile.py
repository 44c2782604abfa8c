"""Compares LiveKit's rooms with our calls, again and again: neither may outlive the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta

import structlog

from contracts.outcome import Reason
from sidecar.calls import Calls
from sidecar.clock import Clock
from sidecar.rooms import RoomError, Rooms
from sidecar.store import calls as call_rows
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.wake import Wake
from sidecar.watch import Watch

log = structlog.get_logger(__name__)

INTERVAL_S = 15.0
YOUNG = timedelta(seconds=10)
"""A call's row is there before its room is."""


class Reconciler:
    """One per process; several may run over one database.

    A room is deleted, and a call ended, only where two looks in a row agree: the two lists are not
    of one instant. Rooms that no call of ours was ever held in are somebody else's.
    """

    def __init__(
        self,
        database: Database,
        use_cases: Calls,
        rooms: Rooms,
        watch: Watch,
        *,
        clock: Clock,
        closing: asyncio.Event,
    ) -> None:
        self._database = database
        self._calls = use_cases
        self._rooms = rooms
        self._watch = watch
        self._clock = clock
        self._closing = closing
        self._suspects: set[str] = set()

    async def turn(self) -> None:
        """Look once, then wait for the next time."""
        if not self._watch.is_recovering:
            await self.look()
        await Wake.wait(self._closing, INTERVAL_S)

    async def look(self) -> None:
        """Compare once."""
        try:
            names = await self._rooms.listed()
        except RoomError as error:
            # Without the server's word nothing is known of any room.
            log.warning("rooms_not_listed", error=str(error))
            self._suspects.clear()
            return
        now = self._clock()
        async with self._database.read() as connection:
            over = await call_rows.ended_among(connection, names)
            live = await call_rows.live(connection)
        roomless = [
            row
            for row in live
            if row.room_name not in names
            and row.config is not None
            and row.planned_at <= now - YOUNG
        ]
        confirmed = self._suspects & {row.call_id for row in (*over, *roomless)}
        self._suspects = {row.call_id for row in (*over, *roomless)} - confirmed
        for row in _among(over, confirmed):
            await self._delete(row)
        for row in _among(roomless, confirmed):
            log.warning("room_missing", call_id=row.call_id)
            await self._calls.finish(row, Reason.ROOM_LOST, "its room is gone")

    async def _delete(self, row: CallRow) -> None:
        log.warning("room_outlived_its_call", call_id=row.call_id)
        try:
            await self._rooms.delete(row.room_name)
        except RoomError as error:
            log.warning("room_not_deleted", call_id=row.call_id, error=str(error))


def _among(rows: Iterable[CallRow], call_ids: set[str]) -> Sequence[CallRow]:
    return [row for row in rows if row.call_id in call_ids]
