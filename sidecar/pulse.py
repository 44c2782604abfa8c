"""Signs of life: what a heartbeat keeps alive, and what its sender is told in return."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.ids import caller_identity
from contracts.report import Heartbeat, HeartbeatReceipt, Seat
from sidecar.clock import Clock
from sidecar.hearing import Hearing
from sidecar.loss import Losses
from sidecar.rooms import Rooms
from sidecar.settings import Settings
from sidecar.store import calls, standbys, tasks, workers
from sidecar.store.database import Database
from sidecar.store.standbys import StandbyRow, StandbyState
from sidecar.wake import Bells


class Pulse:
    """Takes heartbeats of agent workers and bridges."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        losses: Losses,
        settings: Settings,
        hearing: Hearing,
        *,
        clock: Clock,
        bells: Bells,
    ) -> None:
        self._database = database
        self._losses = losses
        self._hearing = hearing
        self._rooms = rooms
        self._settings = settings
        self._clock = clock
        self._bells = bells

    async def heartbeat(self, tenant_id: str, heartbeat: Heartbeat) -> HeartbeatReceipt:
        """Note that a worker lives, what it lost, and the unanswered calls a bridge holds."""
        with self._hearing.taking(heartbeat.id, self._clock) as now:
            receipt, sent_away = await self._database.run(
                lambda connection: self._take(connection, tenant_id, heartbeat, now)
            )
        if sent_away:
            self._bells.standbys.ring()
        for lost in heartbeat.lost:
            await self._losses.agent(tenant_id, lost)
        return receipt

    async def _take(
        self,
        connection: AsyncConnection,
        tenant_id: str,
        heartbeat: Heartbeat,
        now: datetime,
    ) -> tuple[HeartbeatReceipt, bool]:
        await workers.seen(connection, tenant_id, heartbeat, now)
        if heartbeat.kind == "bridge":
            if heartbeat.calls:
                until = now + timedelta(seconds=self._settings.plan_expiry_s)
                await calls.hold(connection, tenant_id, heartbeat.calls, until)
            rows = await standbys.listed(connection, tenant_id)
            seats = [self._seat(row) for row in rows if _is_seat_of(row, heartbeat.id)]
            return HeartbeatReceipt(seats=seats), False
        served = await standbys.calls_of(connection, tenant_id, heartbeat.standbys)
        sent_away = False
        if not heartbeat.ready:
            # The worker stops: it ends only when those that wait have left.
            for row in await standbys.listed(connection, tenant_id):
                if row.standby_id in heartbeat.standbys:
                    sent_away |= await standbys.retire(connection, row, now)
        if sent_away:
            await self._database.notify_standbys(connection)
        waiting = heartbeat.ready and await tasks.is_any_due(connection, tenant_id, now)
        return HeartbeatReceipt(calls=served, tasks=waiting), sent_away

    def _seat(self, row: StandbyRow) -> Seat:
        identity = caller_identity(row.standby_id)
        return Seat(
            standby_id=row.standby_id,
            livekit_url=self._settings.livekit_url,
            token=self._rooms.caller_token(row.room_name, identity),
        )


def _is_seat_of(row: StandbyRow, bridge_id: str) -> bool:
    return row.state is StandbyState.READY and row.bridge_id == bridge_id
