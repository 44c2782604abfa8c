"""Percentiles and means are of what was really measured."""

from __future__ import annotations

from contracts.report import STAGES, TurnMeasured
from sidecar.latency import known, mean, percentile, spread
from tests.fakes.control_plane import START


def turn(**times: float) -> TurnMeasured:
    return TurnMeasured(at=START, turn=1, **times)


def test_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 95)) == (50, 95)
    assert (percentile([7.0], 50), percentile([7.0], 95)) == (7, 7)
    assert percentile([], 50) is None


def test_mean_is_rounded_and_of_nothing_none() -> None:
    assert mean([1.0, 2.0, 2.0]) == 1.7
    assert mean([]) is None


def test_unknown_values_do_not_count() -> None:
    turns = [turn(response_ms=500), turn(stt_ms=100), turn(response_ms=300, stt_ms=150)]
    assert known(turns, "response_ms") == [300, 500]


def test_spread_names_every_figure() -> None:
    figures = spread([turn(response_ms=500), turn(response_ms=300, stt_ms=150)])
    assert set(figures) == {"response_ms", *STAGES}
    assert figures["response_ms"] == {"p50": 300, "p95": 500}
    assert figures["stt_ms"] == {"p50": 150, "p95": 150}
    assert figures["tool_ms"] == {"p50": None, "p95": None}
