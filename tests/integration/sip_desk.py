"""A LiveKit with telephony, the double's, and what the control plane uses of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from contracts.trunk import Trunk
from sidecar import sip_objects
from sidecar.livekit_sip import SipDial, SipService
from sidecar.rooms import LiveKitRooms
from sidecar.sip_objects import Limits
from tests.fakes.livekit_sip import Callee, Caller, SipDouble, running_double
from tests.integration.livekit_server import LiveKitServer
from tests.integration.room_watcher import RoomWatcher, watching

NUMBER = "+911140000000"
CALLER = "+15550100"
LIMITS = Limits(ringing_s=1, call_s=60)
TRUNK = Trunk(trunk_id="t1", name="Carrier", address="carrier.example", numbers=[NUMBER])


@dataclass
class SipDesk:
    """A LiveKit with telephony, and what the control plane uses of it."""

    server: LiveKitServer
    double: SipDouble
    sip: SipService
    rooms: LiveKitRooms
    trunk_id: str = ""
    inbound_id: str = ""

    def watch(self, room_name: str, **how: Any) -> AbstractAsyncContextManager[RoomWatcher]:
        server = self.server
        return watching(server.url, server.key, server.secret, room_name, **how)

    def room(self) -> str:
        return f"dialout-{uuid4()}"

    async def dial(self, room_name: str, callee: Callee, **changes: Any) -> str:
        """Call a phone that behaves so; return its identity."""
        identity = f"caller-{uuid4()}"
        self.double.callees[CALLER] = callee
        given: dict[str, Any] = {
            "trunk_id": self.trunk_id,
            "to_number": CALLER,
            "from_number": NUMBER,
            "room_name": room_name,
            "identity": identity,
            "ringing_timeout_s": 5.0,
            "max_duration_s": 60.0,
            **changes,
        }
        await self.sip.dial(SipDial(**given))
        return identity

    async def ring(self, dialled: str = NUMBER, **how: Any) -> tuple[Caller, str, str]:
        """Let a phone call in; return it, its room and its identity once it is there."""
        caller = self.double.call(CALLER, dialled, **how)
        async with asyncio.timeout(5):
            await caller.joined.wait()
        assert caller.line is not None
        return caller, caller.line.room_name, caller.line.identity


@asynccontextmanager
async def sip_desk(server: LiveKitServer) -> AsyncIterator[SipDesk]:
    """One trunk both ways with its rule, and the catch-all."""
    credentials = (server.key, server.secret)
    async with running_double(server.url, *credentials) as double:
        print("LiveKit SIP: the double")  # noqa: T201 (which one was used)
        sip, rooms = SipService(double.url, *credentials), LiveKitRooms(double.url, *credentials)
        desk = SipDesk(server, double, sip, rooms)
        outbound = sip_objects.outbound("vf", TRUNK)
        inbound = sip_objects.inbound("vf", TRUNK, [], LIMITS)
        assert outbound is not None
        assert inbound is not None
        desk.trunk_id = await sip.save_outbound(outbound, "")
        desk.inbound_id = await sip.save_inbound(inbound, "")
        await sip.save_rule(sip_objects.rule("vf", TRUNK, desk.inbound_id), "")
        await sip.save_rule(sip_objects.catch_all("vf"), "")
        yield desk
        await sip.aclose()
        await rooms.aclose()
