"""Signalling's figures: counters of this process, served at `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridges.wire.sip.event import Counters


class Metrics:
    """One signalling process's figures, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.invites = self._counter("sip_invites", "INVITEs that came in.", "outcome")
        self.dials = self._counter("sip_dials", "INVITEs that went out.")
        self.endings = self._counter("sip_endings", "Legs that ended.", "how")
        self.left_behind = self._counter(
            "sip_left_behind", "Calls of a former process that were hung up."
        )

    def watch(
        self,
        calls: Callable[[], int],
        connections: Callable[[], int],
        media_processes: Callable[[], int],
        media_restarts: Callable[[], int],
        dropped: Callable[[], Mapping[str, int]],
        counters: Callable[[], Counters],
        registrations: Callable[[], Mapping[str, str]],
    ) -> None:
        """Name the places where the other figures stand."""
        self._gauge("sip_calls", "Calls being carried.", calls)
        self._gauge("sip_connections", "Open TCP and TLS connections.", connections)
        self._gauge("sip_media_processes", "Media processes that take calls.", media_processes)
        self._registry.register(_WireCollector(media_restarts, dropped, counters, registrations))

    def exposition(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str, value: Callable[[], int]) -> None:
        Gauge(name, text, registry=self._registry).set_function(value)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)


class _WireCollector(Collector):
    def __init__(
        self,
        media_restarts: Callable[[], int],
        dropped: Callable[[], Mapping[str, int]],
        counters: Callable[[], Counters],
        registrations: Callable[[], Mapping[str, str]],
    ) -> None:
        self._media_restarts = media_restarts
        self._dropped = dropped
        self._counters = counters
        self._registrations = registrations

    def collect(self) -> Iterable[Metric]:
        counters = self._counters()
        yield CounterMetricFamily(
            "sip_media_restarts", "Media processes replaced.", value=self._media_restarts()
        )
        dropped = CounterMetricFamily(
            "sip_dropped", "Messages and connections not read.", labels=("cause",)
        )
        for cause, count in self._dropped().items():
            dropped.add_metric([cause], count)
        yield dropped
        faults = CounterMetricFamily(
            "sip_faults", "What the endpoint dropped or answered by itself.", labels=("kind",)
        )
        for kind in (
            *("malformed", "stray_responses", "stray_acks", "retransmissions"),
            *("unknown_dialogs", "overloads"),
        ):
            faults.add_metric([kind], getattr(counters, kind))
        yield faults
        refusals = CounterMetricFamily(
            "sip_refusals", "Requests the endpoint answered with an error.", labels=("status",)
        )
        for status, count in counters.refusals.items():
            refusals.add_metric([str(status)], count)
        yield refusals
        registered = GaugeMetricFamily(
            "sip_registered", "Whether a trunk is registered with its PBX.", labels=("trunk_id",)
        )
        for trunk_id, state in self._registrations().items():
            registered.add_metric([trunk_id], float(state == "registered"))
        yield registered
