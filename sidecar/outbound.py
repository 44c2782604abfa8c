"""Joins what places calls: doors, queue, bridges' claims, and managed trunks' dialling."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import httpx
from starlette.routing import BaseRoute

from sidecar.access import Access
from sidecar.api import dialout as dialout_api
from sidecar.api import dials as dials_api
from sidecar.api import outbound as outbound_api
from sidecar.calls import Calls
from sidecar.clock import Clock
from sidecar.configure import ConfigSource
from sidecar.dial_claims import DialClaims
from sidecar.dialling import Placer
from sidecar.dialout import Dialout
from sidecar.egress import EgressGuard
from sidecar.elsewhere import ConfigUrls
from sidecar.placing import Placing
from sidecar.planning import Planner
from sidecar.queue import CallQueue
from sidecar.rooms import Rooms
from sidecar.settings import Settings
from sidecar.store.database import Database
from sidecar.supervise import Turn
from sidecar.vault import Vault
from sidecar.vetting import Vetting
from sidecar.wake import Bells

QUEUE_WORKERS = 4
"""Calls planned at once: a plan may wait seconds for a config API, or its turn to start."""


class Outbound:
    """Everything of the sidecar's that places calls.

    Attributes:
        config_urls: reaches the control planes that requests name.
        dialout: places calls, or says by which trunk they would go.
    """

    def __init__(
        self,
        database: Database,
        access: Access,
        planner: Planner,
        configs: ConfigSource,
        vetting: Vetting,
        vault: Vault,
        use_cases: Calls,
        placer: Placer | None,
        rooms: Rooms,
        settings: Settings,
        http: httpx.AsyncClient,
        *,
        clock: Clock,
        bells: Bells,
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._access = access
        self._vault = vault
        self._new_id = new_id
        self.config_urls = ConfigUrls(
            http,
            EgressGuard(allow_private=settings.allow_private_webhooks),
            vetting,
            secret=settings.voxcore_secret,
            trusted=[*settings.trusted_api_origins, settings.config_url],
            timeout_s=settings.config_timeout_s,
        )
        external = self.config_urls.at(settings.config_url) if settings.config_url else None
        self.dialout = Dialout(database, planner, configs, settings, clock=clock, external=external)
        self._queue = CallQueue(
            database, self.dialout, settings, clock=clock, bells=bells, new_id=new_id
        )
        self._claims = DialClaims(database, use_cases, planner, vault, clock=clock, bells=bells)
        self._placing = Placing(
            database,
            use_cases,
            placer,
            vault,
            rooms,
            placed_by=f"sidecar {new_id()}",
            clock=clock,
            bells=bells,
        )

    def turns(self) -> Mapping[str, Turn]:
        """Return the work that goes on in the background."""
        queues = {f"queue-{number}": self._queue.turn for number in range(QUEUE_WORKERS)}
        return {"place": self._placing.turn, **queues}

    def routes(self) -> list[BaseRoute]:
        """Return the doors, and what bridges ask for."""
        return [
            *dialout_api.routes(self._access, self.dialout, self.config_urls, self._new_id),
            *outbound_api.routes(self._access, self.dialout, self._queue),
            *dials_api.routes(self._access, self._database, self._claims, self._vault),
        ]

    async def aclose(self) -> None:
        """Give up the calls that ring by managed trunks; nobody else could."""
        await self._placing.aclose()
