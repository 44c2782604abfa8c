"""Percentiles of samples, and how a table of them is printed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity: its samples' spread, and the samples themselves."""

    name: str
    unit: str
    samples: tuple[float, ...]

    def percentile(self, share: float) -> float:
        """Return the smallest sample that `share` of all samples do not exceed; NaN for none."""
        if not self.samples:
            return math.nan
        ordered = sorted(self.samples)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    def row(self) -> list[str]:
        """Return name, count, p50, p95, p99, maximum and unit as text."""
        figures = (self.percentile(0.5), self.percentile(0.95), self.percentile(0.99))
        largest = max(self.samples, default=math.nan)
        values = [f"{value:.1f}" for value in (*figures, largest)]
        return [self.name, str(len(self.samples)), *values, self.unit]

    def to_json(self) -> dict[str, Any]:
        """Return everything, raw samples included."""
        return {
            **asdict(self),
            "p50": self.percentile(0.5),
            "p95": self.percentile(0.95),
            "p99": self.percentile(0.99),
        }


def figure(name: str, unit: str, samples: Sequence[float]) -> Figure:
    """Return a figure of `samples`, rounded to a thousandth."""
    return Figure(name, unit, tuple(round(sample, 3) for sample in samples))
