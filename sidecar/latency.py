"""Turns in figures: percentiles and means of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from contracts.report import STAGES, TurnMeasured

FIGURES = ("response_ms", *STAGES)


def known(turns: Sequence[TurnMeasured], figure: str) -> list[float]:
    """Return the values of one figure, smallest first, of the turns that have it."""
    values = (getattr(turn, figure) for turn in turns)
    return sorted(value for value in values if value is not None)


def mean(values: Sequence[float]) -> float | None:
    """Return the mean; None of nothing."""
    return round(sum(values) / len(values), 1) if values else None


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return the nearest-rank percentile: a value that was really measured; None of nothing."""
    return ordered[ceil(len(ordered) * percent / 100) - 1] if ordered else None


def spread(turns: Sequence[TurnMeasured]) -> dict[str, dict[str, float | None]]:
    """Return p50 and p95 of the whole wait and of each stage."""
    ordered = {figure: known(turns, figure) for figure in FIGURES}
    return {
        figure: {f"p{percent}": percentile(values, percent) for percent in (50, 95)}
        for figure, values in ordered.items()
    }
