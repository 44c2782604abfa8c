"""The agent's side of a call without a room: it asks for the plan, then an agent is there."""

from __future__ import annotations

import asyncio

from bridges.clock import Clock
from bridges.ending import Ending, refused_plan
from bridges.leg import AgentReady, Emit, LegEvent, Offered
from bridges.report import CallReport
from sidecar.client import SidecarError
from tests.fakes.leg import AT, FakeLeg


class PlannedRoom(FakeLeg):
    """Stands in for `bridges.room_leg.RoomLeg`. Pass it as a media bridge's `enter`."""

    def __init__(self, report: CallReport, clock: Clock) -> None:
        super().__init__("room")
        self._report = report
        self._offered: asyncio.Future[Offered] = asyncio.get_running_loop().create_future()

    async def run(self, emit: Emit) -> Ending:
        try:
            await self._report.plan(await self._offered)
        except SidecarError as error:
            return refused_plan(error, AT)
        emit(AgentReady())
        return await super().run(emit)

    def accept(self, event: LegEvent) -> None:
        super().accept(event)
        if isinstance(event, Offered):
            self._offered.set_result(event)
