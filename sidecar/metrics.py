"""The sidecar's figures for Prometheus: turns and endings as they come, the rest when asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.report import STAGES, Fact, TurnMeasured
from sidecar.clock import Clock, utc_now
from sidecar.store import calls, deliveries, dials, queue, trunks
from sidecar.store.calls import CallRow
from sidecar.store.database import Database

MAX_BOTS = 200
"""Bots with figures of their own, the first to talk since the start. Each costs 15 lines."""
MAX_TRUNKS = 200
"""Trunks with figures, the oldest first."""
OTHERS = "_others"
"""Stands for all further bots: a label that no bot's id can be."""
ANSWERED = "answered"
ATTEMPT_OUTCOMES = ("delivered", "refused", "failed")
"""What an attempt to deliver may come to: a 2xx, another answer, none."""
_RESPONSE_S = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0)
_STAGE_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)


class Metrics:
    """One process's figures, in a registry of its own. Replicas count what each one recorded."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock
        self._registry = CollectorRegistry()
        self._bots: set[tuple[str, str]] = set()
        self._live = Gauge(
            "sidecar_live_calls", "Calls before their end.", ["state"], registry=self._registry
        )
        self._deliveries = Gauge(
            "sidecar_deliveries",
            "Announcements not delivered: pending, parked or dead.",
            ["state"],
            registry=self._registry,
        )
        self._oldest_pending = Gauge(
            "sidecar_delivery_oldest_pending_seconds",
            "Since the oldest announcement that is pending was made; 0 without any.",
            registry=self._registry,
        )
        self._attempts = Counter(
            "sidecar_delivery_attempts",
            "Attempts to deliver an announcement.",
            ["outcome"],
            registry=self._registry,
        )
        self._ended = Counter(
            "sidecar_calls_ended", "Calls ended.", ["reason"], registry=self._registry
        )
        self._dials = Gauge(
            "sidecar_dials",
            "Calls to be placed: waiting for their agent, ready, or claimed and not answered yet.",
            ["state"],
            registry=self._registry,
        )
        self._dials_ended = Counter(
            "sidecar_dials_ended",
            "Calls placed that have ended: answered, or why they were not.",
            ["outcome"],
            registry=self._registry,
        )
        self._queued = Gauge(
            "sidecar_queue_calls",
            "Outgoing calls that wait for a slot, or are being dispatched.",
            ["state"],
            registry=self._registry,
        )
        self._queue_oldest = Gauge(
            "sidecar_queue_oldest_seconds",
            "Since the call that has waited longest was queued; 0 without any.",
            registry=self._registry,
        )
        self._trunk_calls = Gauge(
            "sidecar_trunk_calls",
            "Calls that a trunk carries, both ways.",
            ["trunk_id"],
            registry=self._registry,
        )
        self._trunk_channels = Gauge(
            "sidecar_trunk_channels",
            "Calls that it may carry.",
            ["trunk_id"],
            registry=self._registry,
        )
        self._agents_lost = Counter(
            "sidecar_agents_lost", "Agents that died in a call.", registry=self._registry
        )
        self._responses = Histogram(
            "sidecar_turn_response_seconds",
            "From a caller's last sound to the answer's first.",
            ["tenant_id", "bot_id"],
            buckets=_RESPONSE_S,
            registry=self._registry,
        )
        self._stages = Histogram(
            "sidecar_turn_stage_seconds",
            "What each stage added to that.",
            ["stage"],
            buckets=_STAGE_S,
            registry=self._registry,
        )
        for reason in Reason:
            self._ended.labels(reason=reason.value)
            self._dials_ended.labels(outcome=reason.value)
        self._dials_ended.labels(outcome=ANSWERED)
        for stage in STAGES:
            self._stages.labels(stage=_name(stage))
        for attempted in ATTEMPT_OUTCOMES:
            self._attempts.labels(outcome=attempted)

    def call_ended(self, row: CallRow, reason: str | None) -> None:
        """Count a call that has ended, and what came of its dial if we placed it."""
        reason = reason or Reason.ABANDONED.value
        self._ended.labels(reason=reason).inc()
        if row.channel == Channel.DIALOUT:
            is_answered = row.answered_at is not None
            self._dials_ended.labels(outcome=ANSWERED if is_answered else reason).inc()

    def agent_lost(self) -> None:
        """Count an agent that died while it served a call."""
        self._agents_lost.inc()

    def delivery_attempted(self, status_code: int | None) -> None:
        """Count an attempt to deliver, by what was answered; None for no answer."""
        if status_code is None:
            attempted = "failed"
        else:
            attempted = "delivered" if 200 <= status_code < 300 else "refused"
        self._attempts.labels(outcome=attempted).inc()

    def recorded(self, tenant_id: str, bot_id: str, facts: Iterable[Fact]) -> None:
        """Count the turns among facts that were stored for the first time."""
        for turn in facts:
            if isinstance(turn, TurnMeasured):
                self._count(tenant_id, bot_id, turn)

    async def exposition(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        async with self._database.read() as connection:
            live = await calls.live_by_state(connection)
            backlog = await deliveries.backlog(connection)
            oldest_at = await deliveries.oldest_pending_at(connection)
            dialling = await dials.open_by_state(connection)
            queued = await queue.open_by_state(connection)
            queued_at = await queue.oldest_at(connection)
            loads = await trunks.loads(connection, MAX_TRUNKS)
        self._oldest_pending.set(self._since_s(oldest_at))
        self._queue_oldest.set(self._since_s(queued_at))
        _show(self._live, live)
        _show(self._deliveries, backlog)
        _show(self._dials, dialling)
        _show(self._queued, queued)
        # Those that were removed leave.
        self._trunk_calls.clear()
        self._trunk_channels.clear()
        for load in loads:
            self._trunk_calls.labels(trunk_id=load.trunk_id).set(load.live_calls)
            self._trunk_channels.labels(trunk_id=load.trunk_id).set(load.channels)
        return generate_latest(self._registry)

    def _since_s(self, at: datetime | None) -> float:
        return 0.0 if at is None else max(0.0, (self._clock() - at).total_seconds())

    def _count(self, tenant_id: str, bot_id: str, turn: TurnMeasured) -> None:
        if turn.response_ms is not None:
            labels = self._labels(tenant_id, bot_id)
            self._responses.labels(*labels).observe(turn.response_ms / 1000)
        for stage in STAGES:
            value_ms: float | None = getattr(turn, stage)
            if value_ms is not None:
                self._stages.labels(stage=_name(stage)).observe(value_ms / 1000)

    def _labels(self, tenant_id: str, bot_id: str) -> tuple[str, str]:
        labels = (tenant_id, bot_id)
        if labels not in self._bots:
            if len(self._bots) >= MAX_BOTS:
                return (OTHERS, OTHERS)
            self._bots.add(labels)
        return labels


def _show(gauge: Gauge, by_state: Mapping[str, int]) -> None:
    for state, count in by_state.items():
        gauge.labels(state=state).set(count)


def _name(stage: str) -> str:
    return stage.removesuffix("_ms")
