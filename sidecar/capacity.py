"""How many calls fit: a slot is a row, so counting rows is the whole book-keeping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.ids import Channel
from sidecar.denial import Code, Denied
from sidecar.store import calls, trunks, workers
from sidecar.store.workers import WorkerRow

Door = Literal["stream", "sip", "web"]
"""What a bridge carries, or a browser. A slot of one kind is none of the other."""

FRESH = timedelta(seconds=3)
REMEMBERED = timedelta(seconds=60)
RETRY_AFTER_S = 2


def door_of(channel: str, media: str) -> Door | None:
    """Return whose slot a call takes beside its agent's; None where no bridge of ours carries it.

    Behind LiveKit SIP calls are audio tracks: they need an agent alone. Those in browsers too, but
    the operator may have said how many there may be.
    """
    if channel == Channel.WEB:
        return "web"
    if media == "tracks":
        return None
    return "stream" if channel in (Channel.WEBSOCKET, Channel.EXOTEL) else "sip"


@dataclass(frozen=True, slots=True)
class Capacity:
    """The slots there are, the slots that are taken, and the agents behind them.

    Attributes:
        limit: the operator's cap.
        live_calls: taken slots.
        agents: agent workers heard of lately, fresh or not.
        slots: what fresh bridges carry, by door, and how many calls browsers may have; a door of
            which nothing is known sets no limit.
        carried: taken slots by the door that carries them.
        bridges: stream bridges that take calls.
    """

    limit: int
    live_calls: int
    agents: tuple[WorkerRow, ...]
    fresh_since: datetime
    slots: Mapping[Door, int] = field(default_factory=dict)
    carried: Mapping[Door, int] = field(default_factory=dict)
    bridges: frozenset[str] = frozenset()

    @property
    def ready_agents(self) -> list[WorkerRow]:
        return [agent for agent in self.agents if agent.ready and self.is_fresh(agent)]

    @property
    def total(self) -> int:
        """What health checks are told: the calls that fit if all come by a stream."""
        return self.total_of("stream")

    @property
    def available(self) -> int:
        """How many more calls would be taken if they came by a stream."""
        return self.available_to("stream")

    def total_of(self, door: Door | None) -> int:
        """Return how many calls fit if all come by one door."""
        agent_slots = sum(agent.max_calls for agent in self.ready_agents)
        total = min(self.limit, agent_slots)
        return total if door is None else min(total, self.slots.get(door, total))

    def available_to(self, door: Door | None) -> int:
        """Return how many more calls would be taken from one door."""
        free = self.total_of(None) - self.live_calls
        if door is not None and door in self.slots:
            free = min(free, self.slots[door] - self.carried.get(door, 0))
        return max(0, free)

    def is_fresh(self, worker: WorkerRow) -> bool:
        return worker.last_seen_at >= self.fresh_since

    def admit(self, door: Door | None) -> None:
        """Let one more call in by a door.

        Raises:
            Denied: no agent is ready, or every slot is taken.
        """
        if not self.ready_agents:
            raise Denied(
                Code.NO_AGENT, "no agent worker is ready; start one", retry_after_s=RETRY_AFTER_S
            )
        if not self.available_to(door):
            raise Denied(
                Code.AT_CAPACITY,
                "every slot is taken; try again or another host",
                details={"live_calls": self.live_calls, "total": self.total_of(door)},
                retry_after_s=RETRY_AFTER_S,
            )


async def measure(
    connection: AsyncConnection, tenant_id: str, limit: int, now: datetime, *, web_limit: int = 0
) -> Capacity:
    """Read the capacity as it is now.

    Args:
        connection: to the store.
        tenant_id: whose calls and workers.
        limit: how many calls there may be.
        now: what is fresh.
        web_limit: how many of them in browsers; 0: any number.
    """
    fresh_since = now - FRESH
    seen = await workers.listed(connection, tenant_id, now - REMEMBERED)
    bridges = [w for w in seen if w.kind == "bridge" and w.last_seen_at >= fresh_since]
    live = await calls.live_by_way(connection, tenant_id)
    carried: Counter[Door] = Counter()
    for (channel, media), count in live.items():
        if door := door_of(channel, media):
            carried[door] += count
    return Capacity(
        limit=limit,
        live_calls=sum(live.values()),
        agents=tuple(worker for worker in seen if worker.kind == "agent"),
        fresh_since=fresh_since,
        slots=_slots(bridges) | ({"web": web_limit} if web_limit else {}),
        carried=carried,
        bridges=frozenset(b.worker_id for b in bridges if b.ready and b.door == "stream"),
    )


async def admit_by_trunk(connection: AsyncConnection, tenant_id: str, trunk_id: str) -> None:
    """Let one more call go by a trunk, whichever way it goes; one that is not ours has no limit.

    Raises:
        Denied: it carries all it may.
    """
    row = await trunks.get(connection, tenant_id, trunk_id) if trunk_id else None
    if row is None:
        return
    live_calls = await calls.count_on_trunk(connection, tenant_id, trunk_id)
    if live_calls >= row.trunk.channels:
        raise Denied(
            Code.AT_CAPACITY,
            "every channel of the trunk is taken",
            details={
                "trunk_id": trunk_id,
                "live_calls": live_calls,
                "channels": row.trunk.channels,
            },
            retry_after_s=RETRY_AFTER_S,
        )


def _slots(bridges: Sequence[WorkerRow]) -> dict[Door, int]:
    slots: dict[Door, int] = {}
    for bridge in bridges:
        door: Door = "sip" if bridge.door == "sip" else "stream"
        slots[door] = slots.get(door, 0) + (bridge.max_calls if bridge.ready else 0)
    return slots
