"""How late frames were against their due time: counts per millisecond, and quantiles of them."""

from __future__ import annotations

MAX_MS = 1000


class Lateness:
    """A histogram of whole milliseconds; whatever is later than `MAX_MS` counts as `MAX_MS`."""

    def __init__(self) -> None:
        self._counts = [0] * (MAX_MS + 1)
        self.frames = 0
        self.total_s = 0.0

    def observe(self, late_s: float) -> None:
        """Count one frame."""
        self._counts[min(int(late_s * 1000), MAX_MS)] += 1
        self.frames += 1
        self.total_s += late_s

    def quantile_ms(self, share: float) -> float:
        """Return the lateness that `share` of all frames did not exceed; 0.0 before the first."""
        wanted = share * self.frames
        seen = 0
        for millisecond, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return millisecond + 1.0
        return 0.0

    def buckets(self, bounds_ms: tuple[int, ...]) -> list[int]:
        """Return for each bound how many frames were less late than it, as Prometheus wants it."""
        return [sum(self._counts[:bound]) for bound in bounds_ms]

    def summary(self) -> dict[str, float]:
        """Return `frames`, `p50`, `p95` and `p99` (in ms) for a report."""
        quantiles = {f"p{share}": self.quantile_ms(share / 100) for share in (50, 95, 99)}
        return {"frames": self.frames, **quantiles}
