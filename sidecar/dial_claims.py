"""Hands calls to SIP bridges to be placed: each to one, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.outcome import Reason
from contracts.trunk import DialClaim, DialOrder, DialOrders, Trunk
from sidecar import dialling
from sidecar.calls import Calls
from sidecar.clock import Clock
from sidecar.planning import Planner
from sidecar.store import dials, trunks
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.dials import DialRow
from sidecar.vault import SecretMissing, Vault
from sidecar.wake import Bells, Wake

log = structlog.get_logger(__name__)

HELD_OPEN_S = 20.0
LOOK_AGAIN_S = 2.0
"""Should a bell not have rung: a notification that was lost with its connection."""
MAX_LOOKED_AT = 200
"""Dials looked at for one claim."""

Taken = list[tuple[DialRow, CallRow, Trunk | None]]


class DialClaims:
    """Answers bridges that ask for calls to place."""

    def __init__(
        self,
        database: Database,
        use_cases: Calls,
        planner: Planner,
        vault: Vault,
        *,
        clock: Clock,
        bells: Bells,
    ) -> None:
        self._database = database
        self._vault = vault
        self._calls = use_cases
        self._planner = planner
        self._clock = clock
        self._bells = bells

    async def claim(self, tenant_id: str, claim: DialClaim) -> DialOrders:
        """Return calls to place, as soon as there is one; none after `HELD_OPEN_S` without.

        Whoever cancels it does not hear the answer: what was taken by then is ended as lost.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + HELD_OPEN_S
        while True:
            armed = self._bells.dials.armed()
            taking = asyncio.ensure_future(self._take(tenant_id, claim))
            try:
                taken = await asyncio.shield(taking)
            except asyncio.CancelledError:
                await self._lose(await taking)
                raise
            left_s = until - loop.time()
            if taken or left_s <= 0 or self._bells.parting.is_set():
                return DialOrders(orders=[order async for order in self._orders(taken)])
            await Wake.wait(armed, min(left_s, LOOK_AGAIN_S))

    async def _take(self, tenant_id: str, claim: DialClaim) -> Taken:
        async with self._database.read() as connection:
            if not await dials.ready(connection, "bridge", tenant_id=tenant_id, limit=1):
                return []

        async def work(connection: AsyncConnection) -> Taken:
            now = self._clock()
            # More than are wanted: some may wait for another agent, and must not hold up the rest.
            found = await dials.ready(
                connection, "bridge", tenant_id=tenant_id, limit=MAX_LOOKED_AT
            )
            taken: Taken = []
            for dial in found:
                if len(taken) == claim.max_dials:
                    break
                row = await dialling.claim(connection, dial, claim.bridge_id, now)
                if row is not None:
                    trunk = await trunks.get(connection, tenant_id, dial.trunk_id)
                    taken.append((dial, row, trunk.trunk if trunk else None))
            return taken

        return await self._database.run(work)

    async def _lose(self, taken: Taken) -> None:
        for dial, row, _ in taken:
            log.warning("dial_not_handed_over", call_id=dial.call_id)
            detail = "the bridge hung up as it was handed the call"
            await self._calls.finish(row, Reason.DIAL_LOST, detail)

    async def _orders(self, taken: Taken) -> AsyncIterator[DialOrder]:
        for dial, row, trunk in taken:
            try:
                if trunk is None:
                    raise SecretMissing("its trunk has been removed")
                complete = self._vault.trunk(row.tenant_id, trunk)
            except SecretMissing as missing:
                log.warning("dial_aborted", call_id=dial.call_id, error=str(missing))
                await self._calls.finish(row, Reason.DIAL_ABORTED, str(missing))
                continue
            yield DialOrder(
                plan=self._planner.plan_of(row),
                to_number=dial.to_number,
                from_number=dial.from_number,
                trunk=complete,
                ringing_timeout_s=dial.ringing_timeout_s,
            )
