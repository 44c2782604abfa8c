"""What places calls, wired for tests over a control plane: trunks, orders, bridges, a placer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from contracts.plan import Plan
from contracts.report import AgentJoined, Fact, Source
from contracts.trunk import DialClaim, DialOrder, Trunk
from sidecar.configure import OwnBots
from sidecar.dial_claims import DialClaims
from sidecar.dialout import CallOrder, Dialout
from sidecar.placing import Placing
from sidecar.queue import CallQueue, Wish
from sidecar.store import dials, trunks
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.dials import DialRow
from sidecar.store.queue import QueueItem
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.store.trunks import TrunkRow
from sidecar.vault import Vault
from tests.fakes.control_plane import ControlPlane

TO = "+919876543210"
OWN = "+911234567890"


class FakePlacer:
    """Stands in for LiveKit SIP.

    Attributes:
        placed: every dial it was given, with its trunk.
        do: what it does with one; nothing, to begin with.
        began: set once it was given one.
    """

    def __init__(self) -> None:
        self.placed: list[tuple[DialRow, Trunk]] = []
        self.do: Callable[[CallRow], Awaitable[None]] | None = None
        self.began = asyncio.Event()

    async def place(self, dial: DialRow, row: CallRow, trunk: Trunk) -> None:
        self.placed.append((dial, trunk))
        self.began.set()
        if self.do is not None:
            await self.do(row)


class DialDesk:
    """Everything that places calls, over one control plane."""

    def __init__(self, plane: ControlPlane, *, database: Database | None = None) -> None:
        self.plane = plane
        self.database = database or plane.database
        self.vault = Vault(None)
        self.placer = FakePlacer()
        self.dialout = Dialout(
            self.database,
            plane.planner,
            OwnBots(self.database),
            plane.settings,
            clock=plane.clock,
        )
        self.claims = DialClaims(
            self.database,
            plane.calls,
            plane.planner,
            self.vault,
            clock=plane.clock,
            bells=plane.bells,
        )
        self.queue = CallQueue(
            self.database,
            self.dialout,
            plane.settings,
            clock=plane.clock,
            bells=plane.bells,
            new_id=plane._new_id,
        )
        self.placing = self.new_placing("sidecar-1")
        self._orders = 0

    def new_placing(self, name: str) -> Placing:
        """Return what places managed dials in another replica, or after another start."""
        return Placing(
            self.database,
            self.plane.calls,
            self.placer,
            self.vault,
            self.plane.rooms,
            placed_by=name,
            clock=self.plane.clock,
            bells=self.plane.bells,
            monotonic=lambda: self.plane.clock.monotonic_s,
        )

    async def add_trunk(self, trunk_id: str = "t1", **changes: Any) -> Trunk:
        given: dict[str, Any] = {
            "trunk_id": trunk_id,
            "name": trunk_id,
            "kind": "bridge",
            "address": "sip.example",
            "numbers": [OWN],
            **changes,
        }
        trunk, now = Trunk(**given), self.plane.clock()
        async with self.plane.database.transaction() as connection:
            await trunks.add(connection, TrunkRow(trunk_id, DEFAULT_TENANT, trunk, now, now))
        return trunk

    async def ready(self, **trunk: Any) -> None:
        """One bot, one ready agent worker, one trunk."""
        await self.plane.ready()
        await self.add_trunk(**trunk)

    async def order(self, **changes: Any) -> Plan:
        """Order a call; each is another one, unless it has a `key`."""
        self._orders += 1
        given: dict[str, Any] = {
            "tenant_id": DEFAULT_TENANT,
            "bot_id": "desk",
            "to_number": TO,
            "key": f"order {self._orders}",
            **changes,
        }
        return await self.dialout.place(CallOrder(**given))

    async def join(self, call_id: str) -> None:
        """Let the call's agent be there, ready to speak."""
        await self.plane.claim(call_id)
        await self.tell(call_id, AgentJoined(at=self.plane.clock()), source=Source.AGENT)

    async def due(self, **changes: Any) -> str:
        """Order a call, and let its agent come; return its id."""
        plan = await self.order(**changes)
        await self.join(plan.call_id)
        return plan.call_id

    async def tell(self, call_id: str, *facts: Fact, source: Source = Source.BRIDGE) -> None:
        row = await self.plane.row(call_id)
        seq = (row.bridge_seq if source is Source.BRIDGE else row.agent_seq) + 1
        await self.plane.report(call_id, source, seq, *facts)

    async def take(self, bridge_id: str = "bridge-1", max_dials: int = 10) -> list[DialOrder]:
        """Claim what is ready; waits while nothing is."""
        claim = DialClaim(bridge_id=bridge_id, max_dials=max_dials)
        return (await self.claims.claim(DEFAULT_TENANT, claim)).orders

    async def take_now(self, bridge_id: str = "bridge-1") -> list[DialOrder]:
        """Claim what is ready, as when the process is about to end: nothing is waited for."""
        self.plane.bells.parting.set()
        try:
            return await self.take(bridge_id)
        finally:
            self.plane.bells.parting.clear()

    async def dial(self, call_id: str) -> DialRow:
        async with self.database.read() as connection:
            row = await dials.get(connection, DEFAULT_TENANT, call_id)
        assert row is not None
        return row

    async def state(self, call_id: str) -> tuple[str, str]:
        """Return how a call stands, and its dial."""
        return (await self.plane.row(call_id)).state, (await self.dial(call_id)).state

    async def wish(self, **changes: Any) -> QueueItem:
        given: dict[str, Any] = {
            "bot_id": "desk",
            "trunk_id": "t1",
            "to_number": TO,
            "call_service": "exotel",
            **changes,
        }
        return await self.queue.add(DEFAULT_TENANT, Wish(**given))

    async def item(self, queue_id: str) -> QueueItem:
        found = await self.queue.get(DEFAULT_TENANT, queue_id)
        assert found is not None
        return found
