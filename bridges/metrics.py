"""The bridge's figures: counters of this process, served at `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from bridges.audio.lateness import Lateness
from bridges.wire.close import CloseCode
from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.report import LegEnded

_PROTOCOL_REASONS = frozenset(
    {Reason.PROTOCOL_BROKEN, Reason.HANDSHAKE_TIMEOUT, Reason.MEDIA_TIMEOUT, Reason.PEER_STALLED}
)
DOORS = (Channel.WEBSOCKET, Channel.EXOTEL)
_BOUNDS_MS = (1, 2, 5, 10, 20, 40, 60, 100, 200, 500)


class Metrics:
    """One process's figures, in a registry of its own."""

    def __init__(self, active_calls: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._lateness = Lateness()
        self._recent_lateness = Lateness()
        self._registry.register(_LatenessCollector(self._lateness))
        Gauge("bridge_active_calls", "Calls being carried.", registry=self._registry).set_function(
            active_calls
        )
        self.refused = self._counter("bridge_refused", "Upgrades refused.", "cause")
        self._endings = self._counter("bridge_endings", "Calls ended.", "reason")
        self._calls = self._counter("bridge_calls", "Calls ended, by door.", "door")
        self._errors = self._counter("bridge_protocol_errors", "Protocols broken.", "reason")
        self._dropped = self._counter("bridge_dropped_frames", "Bot audio dropped: peer too slow.")
        self._ignored = self._counter("bridge_ignored_events", "Messages of unknown events.")
        for reason in Reason:
            self._endings.labels(reason=reason.value)
        for door in DOORS:
            self._calls.labels(door=door.value)

    def observe_lateness(self, late_s: float) -> None:
        """Count one frame of bot audio."""
        self._lateness.observe(late_s)
        self._recent_lateness.observe(late_s)

    def take_recent_lateness(self) -> dict[str, float]:
        """Return the lateness of the frames since this was last called."""
        recent, self._recent_lateness = self._recent_lateness, Lateness()
        return recent.summary()

    def call_ended(self, door: Channel, ended: LegEnded) -> None:
        """Count a finished call."""
        self._calls.labels(door=door.value).inc()
        self._endings.labels(reason=ended.reason.value).inc()
        if ended.reason in _PROTOCOL_REASONS:
            code = CloseCode(ended.stats["close_code"])
            self._errors.labels(reason=code.name.lower()).inc()
        self._dropped.inc(ended.stats["dropped_frames"])
        self._ignored.inc(ended.stats["ignored_events"])

    def exposition(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)


class _LatenessCollector(Collector):
    def __init__(self, lateness: Lateness) -> None:
        self._lateness = lateness

    def collect(self) -> Iterable[Metric]:
        counts = self._lateness.buckets(_BOUNDS_MS)
        buckets = [
            (str(bound / 1000), float(n)) for bound, n in zip(_BOUNDS_MS, counts, strict=True)
        ]
        buckets.append(("+Inf", float(self._lateness.frames)))
        yield HistogramMetricFamily(
            "bridge_frame_lateness_seconds",
            "How late frames left, against their due time.",
            buckets=buckets,
            sum_value=self._lateness.total_s,
        )
