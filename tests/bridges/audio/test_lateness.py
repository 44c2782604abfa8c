"""Counting milliseconds."""

from __future__ import annotations

from bridges.audio.lateness import MAX_MS, Lateness


def test_nothing_observed_is_never_late() -> None:
    assert Lateness().summary() == {"frames": 0, "p50": 0.0, "p95": 0.0, "p99": 0.0}


def test_quantiles_are_the_upper_edge_of_their_millisecond() -> None:
    lateness = Lateness()
    for _ in range(98):
        lateness.observe(0.0004)
    lateness.observe(0.0125)
    lateness.observe(7.0)

    assert lateness.summary() == {"frames": 100, "p50": 1.0, "p95": 1.0, "p99": 13.0}
    assert lateness.quantile_ms(1.0) == MAX_MS + 1.0
    assert lateness.buckets((1, 13, 1000)) == [98, 99, 99]
    assert lateness.total_s > 7.0
