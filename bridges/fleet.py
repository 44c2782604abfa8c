"""What load balancers are told, always from memory, and the loop that keeps it fresh."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, Protocol

import structlog

from contracts.report import Heartbeat, HeartbeatReceipt, Seat
from sidecar.client import SidecarError

log = structlog.get_logger(__name__)

INTERVAL_S = 1.0
RETRY_S = 0.25
TIMEOUT_S = 1.5
"""With the pauses around it, below the three seconds after which a bridge is missed."""


class FleetSidecar(Protocol):
    """What is asked of the sidecar each second; `sidecar.client.SidecarClient` has it."""

    async def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatReceipt: ...

    async def fleet(self) -> dict[str, Any]: ...


class Fleet:
    """This bridge among the platform's processes.

    Args:
        sidecar: whom to ask and to tell.
        bridge_id: stable for this process.
        max_calls: this bridge's limit.
        calls: the ids of the calls it carries.
        accepting: whether it takes more, limits aside.
        started_at: when the process started.
        take_lateness: of the frames since the last heartbeat.
        keep_seats: told which seats to hold.
        spooled: how many reports wait on disk.
        door: what it carries. Load balancers ask bridges of streams alone, so that only they ask
            the sidecar for the fleet's figures.
    """

    def __init__(
        self,
        sidecar: FleetSidecar,
        bridge_id: str,
        max_calls: int,
        calls: Callable[[], list[str]],
        accepting: Callable[[], bool],
        started_at: datetime,
        take_lateness: Callable[[], dict[str, float]],
        keep_seats: Callable[[list[Seat]], None] = lambda _: None,
        spooled: Callable[[], int] = lambda: 0,
        door: Literal["stream", "sip"] = "stream",
    ) -> None:
        self._sidecar = sidecar
        self._bridge_id = bridge_id
        self._max_calls = max_calls
        self._calls = calls
        self._accepting = accepting
        self._started_at = started_at
        self._take_lateness = take_lateness
        self._keep_seats = keep_seats
        self._spooled = spooled
        self._door = door
        self._figures: Mapping[str, Any] | None = None

    async def run(self) -> None:
        """Ask and tell each second, until cancelled; an absent sidecar is no reason to stop."""
        while True:
            is_heard = False
            try:
                _, is_heard = await asyncio.gather(self._ask(), self._tell())
            except Exception:
                log.exception("fleet_round_failed", bridge_id=self._bridge_id)
            await asyncio.sleep(INTERVAL_S if is_heard else RETRY_S)

    def free_slots(self) -> int:
        """Return how many more calls this bridge takes now."""
        return max(0, self._max_calls - len(self._calls())) if self._accepting() else 0

    def health(self) -> bytes:
        """Return the body of `/health`."""
        active, free = len(self._calls()), self.free_slots()
        return _compact(
            {
                "status": "ok",
                "worker_calls": active,
                "worker_max": self._max_calls,
                "total_capacity": self._max_calls,
                "total_available": free,
                "workers": 1,
                "worker_id": self._bridge_id,
                "worker_pid": os.getpid(),
            }
        )

    def health_fleet(self) -> bytes:
        """Return the body of `/health/fleet`: the sidecar's figures, capped by our free slots."""
        figures = self._figures
        if figures is None:
            absent = {"fleet_calls": len(self._calls()), "fleet_max": self._max_calls}
            return _compact({"status": "ok", **absent, "fleet_available": 0, "workers": []})
        available = min(figures["fleet_available"], self.free_slots())
        return _compact({**figures, "fleet_available": available})

    async def _ask(self) -> None:
        if self._door != "stream":
            return
        try:
            async with asyncio.timeout(TIMEOUT_S):
                figures = await self._sidecar.fleet()
            self._figures = figures if isinstance(figures.get("fleet_available"), int) else None
        except (SidecarError, TimeoutError):
            if self._figures is not None:
                log.warning("sidecar_unreachable", bridge_id=self._bridge_id)
            self._figures = None

    async def _tell(self) -> bool:
        """Give a sign of life; return whether it was taken."""
        late_ms = {f"lateness_{key}": value for key, value in self._take_lateness().items()}
        heartbeat = Heartbeat(
            kind="bridge",
            door=self._door,
            id=self._bridge_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            ready=self._accepting(),
            calls=[call_id for call_id in self._calls() if call_id],
            max_calls=self._max_calls,
            spooled=self._spooled(),
            started_at=self._started_at,
            metrics=late_ms,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                receipt = await self._sidecar.heartbeat(heartbeat)
            if self._accepting():
                self._keep_seats(receipt.seats)
        except (SidecarError, TimeoutError):
            log.debug("heartbeat_lost", bridge_id=self._bridge_id)
            return False
        return True


def _compact(body: Mapping[str, Any]) -> bytes:
    # Load balancers match `"fleet_available":3` by regular expression: no spaces.
    return json.dumps(body, separators=(",", ":")).encode()
