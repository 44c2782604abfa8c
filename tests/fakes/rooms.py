"""LiveKit as the control plane sees it: remembers rooms and dispatches, and fails when told."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sidecar.rooms import EMPTY_TIMEOUT_S, Attendance, RoomError


class FakeRooms:
    """Stands in for `sidecar.rooms.Rooms`.

    Attributes:
        rooms: the rooms that exist.
        dispatches: every `(room, call, incarnation)` an agent was called for.
        standbys: every agent called to wait, in order.
        deleted: every room that was deleted, in order.
        removed: every `(room, identity)` that was sent out, in order.
        attendances: who is in which room; nobody, in those not named.
        empty_timeouts_s: how long each room lasts without a caller.
        failure: raised by every request while set.
    """

    def __init__(self) -> None:
        self.rooms: set[str] = set()
        self.dispatches: list[tuple[str, str, int]] = []
        self.standbys: list[str] = []
        self.deleted: list[str] = []
        self.removed: list[tuple[str, str]] = []
        self.attendances: dict[str, Attendance] = {}
        self.empty_timeouts_s: dict[str, int] = {}
        self.failure: RoomError | None = None
        self._changed = asyncio.Condition()

    async def reached(
        self, *, dispatches: int = 0, deleted: int = 0, standbys: int = 0, removed: int = 0
    ) -> None:
        """Wait until so many agents were called, rooms deleted and participants sent out."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: (
                    len(self.dispatches) >= dispatches
                    and len(self.deleted) >= deleted
                    and len(self.standbys) >= standbys
                    and len(self.removed) >= removed
                )
            )

    async def create(
        self,
        room_name: str,
        call_id: str,
        incarnation: int,
        *,
        empty_timeout_s: int = EMPTY_TIMEOUT_S,
    ) -> None:
        self._fail_if_told()
        self.rooms.add(room_name)
        self.empty_timeouts_s[room_name] = empty_timeout_s
        await self._dispatched(room_name, call_id, incarnation)

    async def open_standby(self, room_name: str, standby_id: str, max_age: timedelta) -> None:
        self._fail_if_told()
        self.rooms.add(room_name)
        async with self._changed:
            self.standbys.append(standby_id)
            self._changed.notify_all()

    async def dispatch(self, room_name: str, call_id: str, incarnation: int) -> None:
        self._fail_if_told()
        await self._dispatched(room_name, call_id, incarnation)

    async def delete(self, room_name: str) -> None:
        self._fail_if_told()
        self.rooms.discard(room_name)
        async with self._changed:
            self.deleted.append(room_name)
            self._changed.notify_all()

    async def remove(self, room_name: str, identity: str) -> None:
        self._fail_if_told()
        async with self._changed:
            self.removed.append((room_name, identity))
            self._changed.notify_all()

    async def attendance(self, room_name: str) -> Attendance:
        self._fail_if_told()
        return self.attendances.get(room_name, Attendance())

    async def listed(self) -> list[str]:
        self._fail_if_told()
        return sorted(self.rooms)

    def caller_token(self, room_name: str, identity: str, *, answered: bool = False) -> str:
        return f"token for {identity} in {room_name}{', answered' if answered else ''}"

    def visitor_token(
        self, room_name: str, identity: str, *, text_only: bool, ttl: timedelta
    ) -> str:
        says = "types" if text_only else "speaks"
        return f"token for {identity} in {room_name}, who {says}, for {ttl.total_seconds():g} s"

    async def _dispatched(self, room_name: str, call_id: str, incarnation: int) -> None:
        async with self._changed:
            self.dispatches.append((room_name, call_id, incarnation))
            self._changed.notify_all()

    def _fail_if_told(self) -> None:
        if self.failure is not None:
            raise self.failure
