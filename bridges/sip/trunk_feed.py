"""Fetches the trunks from the sidecar, again and again; the last ones hold while it is away.

They are kept in memory alone, since they hold passwords.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from bridges.sip.outbound import Undiallable, destination_of
from bridges.sip.resolver import NoAddress, Resolver
from bridges.sip.settings import Network
from bridges.sip.trunk_book import TrunkBook
from contracts.trunk import BridgeTrunks, Trunk
from sidecar.client import SidecarError

log = structlog.get_logger(__name__)

INTERVAL_S = 10.0
FIRST_RETRY_S = 1.0
"""Before the first list is there: until then nobody but the allowed peers can call."""


class Sidecar(Protocol):
    """What is asked of the sidecar; `sidecar.client.SidecarClient` has it."""

    async def bridge_trunks(self) -> BridgeTrunks: ...


class TrunkFeed:
    """Keeps a `TrunkBook` fresh.

    Args:
        sidecar: whom to ask.
        resolver: finds the addresses of the PBXs that trunks register with.
        allowed: networks that need no trunk.
        on_change: told each book that differs from the one before.
    """

    def __init__(
        self,
        sidecar: Sidecar,
        resolver: Resolver,
        allowed: tuple[Network, ...],
        on_change: Callable[[TrunkBook], None],
    ) -> None:
        self._sidecar = sidecar
        self._resolver = resolver
        self._allowed = allowed
        self._on_change = on_change
        self._last: object = None
        self._is_away = False

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(FIRST_RETRY_S if self._last is None else INTERVAL_S)

    async def refresh(self) -> None:
        """Ask once; a sidecar that is away changes nothing."""
        try:
            trunks = (await self._sidecar.bridge_trunks()).trunks
        except SidecarError as error:
            if not self._is_away:
                log.warning("sip_trunks_unavailable", detail=str(error))
            self._is_away = True
            return
        self._is_away = False
        registrars = {
            trunk.trunk_id: await self._addresses(trunk)
            for trunk in trunks
            if trunk.register_expires_s and not trunk.inbound_addresses
        }
        if (trunks, registrars) == self._last:
            return
        self._last = (trunks, registrars)
        log.info("sip_trunks_changed", trunks=len(trunks))
        self._on_change(TrunkBook(self._allowed, trunks, registrars))

    async def _addresses(self, trunk: Trunk) -> list[str]:
        try:
            return sorted(await self._resolver.addresses(destination_of(trunk).host))
        except (NoAddress, Undiallable) as error:
            log.warning("sip_registrar_unknown", trunk_id=trunk.trunk_id, detail=str(error))
            return []
