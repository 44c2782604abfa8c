"""Seats: rooms this bridge sits in before there are calls for them, beside an agent that waits.

Joining a room takes 60 ms and being seen in it 40 more; a caller who listens already need not wait
for either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog
from livekit import rtc
from livekit.rtc.participant import PublishDataTrackError

from bridges.data_room import DataRoom
from bridges.race import cancel
from contracts.ids import PRESENCE_TRACK
from contracts.report import Seat

log = structlog.get_logger(__name__)

JOIN_TIMEOUT_S = 10.0
LEAVE_TIMEOUT_S = 5.0


class Seats:
    """The seats of one bridge process, as the sidecar wants them held."""

    def __init__(self) -> None:
        self._rooms: dict[str, DataRoom] = {}
        self._joining: dict[str, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def held(self) -> list[str]:
        """Return whose seats this bridge sits in."""
        return list(self._rooms)

    @property
    def is_settled(self) -> bool:
        """Whether no seat is being taken at this moment."""
        return not self._joining

    def keep(self, wanted: Iterable[Seat]) -> None:
        """Join what is wanted and not held, leave what is held and not wanted."""
        seats = {seat.standby_id: seat for seat in wanted}
        for standby_id in self._rooms.keys() - seats.keys():
            self._leave(self._rooms.pop(standby_id))
        for standby_id, seat in seats.items():
            if standby_id not in self._rooms and standby_id not in self._joining:
                task = asyncio.create_task(self._join(seat), name=f"seat-{standby_id}")
                self._joining[standby_id] = task

    async def take(self, standby_id: str) -> DataRoom | None:
        """Give a seat away to the call that has it now; None if this bridge does not hold it.

        One that is being taken just now is waited for: two with one name throw each other out.
        """
        if standby_id in self._joining:
            await asyncio.wait({self._joining[standby_id]})
        return self._rooms.pop(standby_id, None)

    async def aclose(self) -> None:
        """Leave every seat."""
        await cancel(*self._joining.values())
        self.keep(())
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=LEAVE_TIMEOUT_S)

    async def _join(self, seat: Seat) -> None:
        room = DataRoom(lambda *_: None)
        joined = False
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                await room.join(seat.livekit_url, seat.token)
                await be_seen(room.local_participant)
            joined = room.isconnected()
        except (rtc.ConnectError, TimeoutError) as error:
            log.warning("seat_not_taken", standby_id=seat.standby_id, error=type(error).__name__)
        finally:
            del self._joining[seat.standby_id]
            if joined:
                self._hold(seat.standby_id, room)
            else:
                self._leave(room)

    def _hold(self, standby_id: str, room: DataRoom) -> None:
        self._rooms[standby_id] = room

        def on_lost(_: object) -> None:
            if self._rooms.get(standby_id) is room:
                del self._rooms[standby_id]

        room.on("disconnected", on_lost)

    def _leave(self, room: DataRoom) -> None:
        task = asyncio.create_task(room.leave())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def be_seen(local: rtc.LocalParticipant) -> None:
    """Publish something: or the server tells others of a participant only every three seconds."""
    try:
        await local.publish_data_track(name=PRESENCE_TRACK)
    except PublishDataTrackError:
        log.warning("presence_unpublished", identity=local.identity)
