"""A LiveKit with telephony, and what the control plane uses of it.

The telephony is a real `livekit-sip` where `LIVEKIT_SIP_BIN` names one, else the double.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from livekit import api

from contracts.trunk import Trunk
from sidecar import sip_objects
from sidecar.livekit_sip import SipDial, SipService
from sidecar.rooms import LiveKitRooms
from sidecar.sip_objects import Limits
from tests.fakes.livekit_sip import Callee, Caller, Line, SipDouble, running_double
from tests.fakes.livekit_sip.real import running_service
from tests.fakes.livekit_sip.real_calls import RealCaller, RealLine, RealSip, real_sip
from tests.fakes.livekit_sip_choice import named_binary
from tests.fakes.redis import running_redis
from tests.integration.livekit_server import LiveKitServer, running_livekit
from tests.integration.room_watcher import RoomWatcher, watching

NUMBER = "+911140000000"
CALLER = "+15550100"
LIMITS = Limits(ringing_s=1, call_s=60)
TRUNK = Trunk(trunk_id="t1", name="Carrier", address="carrier.example", numbers=[NUMBER])


@dataclass
class SipDesk:
    """A LiveKit with telephony, and what the control plane uses of it.

    Attributes:
        telephony: who calls and is called.
    """

    server: LiveKitServer
    telephony: SipDouble | RealSip
    sip: SipService
    rooms: LiveKitRooms
    trunk_id: str = ""
    inbound_id: str = ""

    @property
    def double(self) -> SipDouble:
        """The double, for what a real one cannot be made to do (`double_only`)."""
        assert isinstance(self.telephony, SipDouble)
        return self.telephony

    def watch(self, room_name: str, **how: Any) -> AbstractAsyncContextManager[RoomWatcher]:
        server = self.server
        return watching(server.url, server.key, server.secret, room_name, **how)

    def room(self) -> str:
        return f"dialout-{uuid4()}"

    def call(self, dialled: str, **how: Any) -> Caller | RealCaller:
        """Let a phone call in."""
        return self.telephony.call(CALLER, dialled, **how)

    def line(self, identity: str) -> Line | RealLine:
        """Return a phone that was called."""
        return self.telephony.lines[identity]

    async def dial(self, room_name: str, callee: Callee, **changes: Any) -> str:
        """Call a phone that behaves so; return its identity."""
        identity = f"caller-{uuid4()}"
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
        if isinstance(self.telephony, SipDouble):
            self.telephony.callees[CALLER] = callee
            await self.sip.dial(SipDial(**given))
            return identity
        address, transport = await self.telephony.phone(identity, room_name, callee)
        way = TRUNK.model_copy(update={"address": address, "transport": transport})
        own_trunk_id = await self.sip.save_outbound(_outbound(way), "")
        try:
            await self.sip.dial(SipDial(**{**given, "trunk_id": own_trunk_id, **changes}))
        finally:
            await self.sip.delete_trunk(own_trunk_id)
        return identity

    async def ring(self, dialled: str = NUMBER, **how: Any) -> tuple[Caller | RealCaller, str, str]:
        """Let a phone call in; return it, its room and its identity once it is there."""
        caller = self.call(dialled, **how)
        async with asyncio.timeout(5):
            await caller.joined.wait()
        assert caller.line is not None
        return caller, caller.line.room_name, caller.line.identity


@asynccontextmanager
async def sip_desk(server: LiveKitServer, folder: Path) -> AsyncIterator[SipDesk]:
    """One trunk both ways with its rule, and the catch-all."""
    async with _telephony(server, folder) as (server, telephony):
        credentials = (server.key, server.secret)
        sip, rooms = (
            SipService(telephony.url, *credentials),
            LiveKitRooms(telephony.url, *credentials),
        )
        desk = SipDesk(server, telephony, sip, rooms)
        inbound = sip_objects.inbound("vf", TRUNK, [], LIMITS)
        assert inbound is not None
        desk.trunk_id = await sip.save_outbound(_outbound(TRUNK), "")
        desk.inbound_id = await sip.save_inbound(inbound, "")
        await sip.save_rule(sip_objects.rule("vf", TRUNK, desk.inbound_id), "")
        await sip.save_rule(sip_objects.catch_all("vf"), "")
        yield desk
        await sip.aclose()
        await rooms.aclose()


@asynccontextmanager
async def _telephony(
    server: LiveKitServer, folder: Path
) -> AsyncIterator[tuple[LiveKitServer, SipDouble | RealSip]]:
    """Run what is there: the double before a server, or a service beside a server with Redis."""
    binary = named_binary()
    if binary is None:
        async with running_double(server.url, server.key, server.secret) as double:
            yield server, double
        return
    with (
        running_redis(folder) as redis,
        running_livekit(folder, redis={"address": redis}) as own,
    ):
        livekit = (own.url, own.key, own.secret)
        async with (
            running_service(binary, folder, livekit, redis) as sip_port,
            real_sip(livekit, sip_port, folder) as real,
        ):
            yield own, real


def _outbound(trunk: Trunk) -> api.SIPOutboundTrunkInfo:
    wanted = sip_objects.outbound("vf", trunk)
    assert wanted is not None
    return wanted
