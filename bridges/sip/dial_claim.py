"""Asks for calls to place, for as long as there is room for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from contracts.trunk import DialClaim, DialOrder, DialOrders
from sidecar.client import SidecarError

log = structlog.get_logger(__name__)

MOST_DIALS = 4
"""Taken at once: what is due is shared among processes, and goes one by one anyway."""
RETRY_S = 1.0
"""After the control plane gave no answer, and between looks for a free slot."""


class DialSidecar(Protocol):
    """Who hands out calls to place; `sidecar.client.SidecarClient` does."""

    async def claim_dials(self, claim: DialClaim) -> DialOrders: ...


class DialClaims:
    """Claims dials until told to stop.

    An order is given out once, so a question that is open is never taken back: `run` ends with its
    answer, and whatever it brings is placed. While it is open, calls that come in may take the last
    free slots; a process then carries up to `MOST_DIALS` more than its limit.

    Attributes:
        is_over: whether nothing more will be placed.

    Args:
        sidecar: whom to ask.
        bridge_id: who asks.
        free_slots: how many more calls this process takes.
        place: places a call; never fails.
    """

    def __init__(
        self,
        sidecar: DialSidecar,
        bridge_id: str,
        free_slots: Callable[[], int],
        place: Callable[[DialOrder], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sidecar = sidecar
        self._bridge_id = bridge_id
        self._free_slots = free_slots
        self._place = place
        self._sleep = sleep
        self._is_stopping = False
        self.is_over = False

    def stop(self) -> None:
        """Ask no more."""
        self._is_stopping = True

    async def run(self) -> None:
        """Claim and place, until stopped."""
        try:
            await self._claim()
        finally:
            self.is_over = True

    async def _claim(self) -> None:
        is_away = False
        while not self._is_stopping:
            most = min(self._free_slots(), MOST_DIALS)
            if most == 0:
                await self._sleep(RETRY_S)
                continue
            asked_at = asyncio.get_running_loop().time()
            try:
                claim = DialClaim(bridge_id=self._bridge_id, max_dials=most)
                orders = (await self._sidecar.claim_dials(claim)).orders
            except SidecarError as error:
                if not is_away:
                    log.warning("dials_unclaimed", error=str(error))
                is_away = True
                await self._sleep(RETRY_S)
                continue
            is_away = False
            for order in orders:
                self._place(order)
            if not orders and asyncio.get_running_loop().time() - asked_at < RETRY_S:
                # Whoever answers at once that there is nothing is not to be asked on end.
                await self._sleep(RETRY_S)
