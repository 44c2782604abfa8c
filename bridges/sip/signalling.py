"""One signalling process: its parts, the order they start in, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import structlog

from bridges.clock import Clock
from bridges.race import cancel
from bridges.sip.dialog_store import DialogStore
from bridges.sip.driver import Driver
from bridges.sip.health import HealthServer
from bridges.sip.metrics import Metrics
from bridges.sip.registrar import Registrar
from bridges.sip.settings import SipSettings
from bridges.sip.supervisor import Supervisor
from bridges.sip.switchboard import Switchboard
from bridges.sip.trunk_feed import Sidecar, TrunkFeed

log = structlog.get_logger(__name__)

FIRST_TRUNKS_S = 2.0
"""How long a start waits for the trunks: without them carriers are unknown, and a BYE that is
challenged cannot be proven."""
GOODBYE_S = 2.0
"""For the answers to our last BYEs and to taking back our registrations."""


class Signalling:
    """`async with Signalling(...)` serves; `drain` ends it with care.

    Args:
        command: starts a media process; its end of the socket pair is added as a number.
    """

    def __init__(
        self,
        settings: SipSettings,
        sidecar: Sidecar,
        clock: Clock,
        command: Sequence[str],
    ) -> None:
        """Raises `OSError` if a certificate or key cannot be read."""
        self._settings = settings
        self._clock = clock
        self._store = DialogStore(settings.sip_state_dir)
        self._metrics = Metrics()
        self._draining = False
        self.switchboard = Switchboard(settings, self._store, self._metrics, clock.now)
        self.driver = Driver(settings, self.switchboard, clock.now)
        self.supervisor = Supervisor(settings, self.switchboard, clock.now, command)
        self._feed = TrunkFeed(
            sidecar,
            self.driver.resolver,
            settings.sip_allowed_peers,
            self.switchboard.trunks_changed,
        )
        self._feeding: asyncio.Task[None] | None = None
        self._health = HealthServer(self.health, self._metrics.exposition)
        self.health_port = 0

    async def __aenter__(self) -> Signalling:
        """Start.

        Raises:
            StateInUse: another process uses the state folder.
            OSError: a port is in use, or the folder cannot be written to.
        """
        self._store.open()
        self.driver.open()
        board = self.switchboard
        board.driver = self.driver
        board.registrar = Registrar(self.driver.endpoint, self._clock.now)
        self._metrics.watch(
            calls=lambda: len(board.legs),
            connections=lambda: self.driver.transports.connections,
            media_processes=self._media_ready,
            media_restarts=lambda: self.supervisor.restarts,
            dropped=lambda: self.driver.dropped,
            counters=lambda: self.driver.endpoint.counters,
            registrations=lambda: board.registrar.states,
        )
        settings = self._settings
        self.health_port = await self._health.start(
            settings.sip_health_host, settings.sip_health_port
        )
        self.supervisor.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_TRUNKS_S):
                await self._feed.refresh()
        board.hang_up_leftovers()
        self._feeding = asyncio.create_task(self._feed.run(), name="trunks")
        ports = {each.value: port for each, port in self.driver.transports.ports.items()}
        log.info("sip_started", host=settings.sip_host, ports=ports, health=self.health_port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.drain(0.0)
        await self.close()

    async def drain(self, timeout_s: float) -> None:
        """Refuse new calls and wait for the others; may be cancelled, and called again."""
        if not self._draining:
            log.info("sip_draining", calls=len(self.switchboard.legs), timeout_s=timeout_s)
            self._draining = True
            self.supervisor.drain()
            self.switchboard.drain(timeout_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.switchboard.idle.wait()

    async def close(self) -> None:
        """Hang up what remains, and stop."""
        self.switchboard.hang_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await self.switchboard.quiet.wait()
        if self._feeding is not None:
            await cancel(self._feeding)
        await self.supervisor.stop()
        await self.driver.close()
        await self._health.stop()
        self._store.close()
        log.info("sip_stopped")

    def health(self) -> dict[str, Any]:
        """Return the body of `/health`; `starting` while no media process takes calls."""
        links = self.switchboard.links
        status = "ok" if self._media_ready() else "starting"
        return {
            "status": "draining" if self._draining else status,
            "calls": len(self.switchboard.legs),
            "max_calls": sum(link.max_calls for link in links),
            "available": 0 if self._draining else sum(link.free for link in links),
            "media_processes": self._media_ready(),
            "registrations": self.switchboard.registrar.states,
        }

    def _media_ready(self) -> int:
        return sum(1 for link in self.switchboard.links if link.max_calls)
