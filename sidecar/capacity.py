"""How many calls fit: a slot is a row, so counting rows is the whole book-keeping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.denial import Code, Denied
from sidecar.store import calls, workers
from sidecar.store.workers import WorkerRow

FRESH = timedelta(seconds=3)
REMEMBERED = timedelta(seconds=60)
RETRY_AFTER_S = 2


@dataclass(frozen=True, slots=True)
class Capacity:
    """The slots there are, the slots that are taken, and the agents behind them.

    Attributes:
        limit: the operator's cap.
        live_calls: taken slots.
        agents: agent workers heard of lately, fresh or not.
        bridge_slots: what fresh bridges carry; None where none is known, as for doors without one.
        bridges: those that take calls.
    """

    limit: int
    live_calls: int
    agents: tuple[WorkerRow, ...]
    fresh_since: datetime
    bridge_slots: int | None
    bridges: frozenset[str] = frozenset()

    @property
    def ready_agents(self) -> list[WorkerRow]:
        return [agent for agent in self.agents if agent.ready and self.is_fresh(agent)]

    @property
    def total(self) -> int:
        agent_slots = sum(agent.max_calls for agent in self.ready_agents)
        if self.bridge_slots is None:
            return min(self.limit, agent_slots)
        return min(self.limit, agent_slots, self.bridge_slots)

    @property
    def available(self) -> int:
        return max(0, self.total - self.live_calls)

    def is_fresh(self, worker: WorkerRow) -> bool:
        return worker.last_seen_at >= self.fresh_since

    def admit(self) -> None:
        """Let one more call in.

        Raises:
            Denied: no agent is ready, or every slot is taken.
        """
        if not self.ready_agents:
            raise Denied(
                Code.NO_AGENT, "no agent worker is ready; start one", retry_after_s=RETRY_AFTER_S
            )
        if self.available == 0:
            raise Denied(
                Code.AT_CAPACITY,
                "every slot is taken; try again or another host",
                details={"live_calls": self.live_calls, "total": self.total},
                retry_after_s=RETRY_AFTER_S,
            )


async def measure(
    connection: AsyncConnection, tenant_id: str, limit: int, now: datetime
) -> Capacity:
    """Read the capacity as it is now."""
    fresh_since = now - FRESH
    seen = await workers.listed(connection, tenant_id, now - REMEMBERED)
    bridges = [w for w in seen if w.kind == "bridge" and w.last_seen_at >= fresh_since]
    return Capacity(
        limit=limit,
        live_calls=await calls.count_live(connection, tenant_id),
        agents=tuple(worker for worker in seen if worker.kind == "agent"),
        fresh_since=fresh_since,
        bridge_slots=_slots(bridges),
        bridges=frozenset(bridge.worker_id for bridge in bridges if bridge.ready),
    )


def _slots(bridges: Sequence[WorkerRow]) -> int | None:
    if not bridges:
        return None
    return sum(bridge.max_calls for bridge in bridges if bridge.ready)
