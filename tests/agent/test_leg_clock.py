"""The agent's times on the axis of the phone."""

from __future__ import annotations

import pytest

from agent.leg_clock import LegClock


def test_nothing_is_known_before_anything_arrived() -> None:
    assert LegClock().ms_at(5.0) is None


def test_quickest_packet_tells_how_far_the_clocks_are_apart() -> None:
    clock = LegClock()
    for number, delay_ms in enumerate([30, 2, 250, 90]):
        clock.observe(1000 + 40 * number, 700.0 + 0.04 * number + delay_ms / 1000)
    assert clock.ms_at(700.5) == pytest.approx(1498)


def test_drift_is_forgotten() -> None:
    clock = LegClock()
    for second in range(3600):
        # The leg's clock runs slower by 100 parts in a million.
        clock.observe(1000 * second * (1 - 1e-4), float(second))
    assert clock.ms_at(3600.0) == pytest.approx(1000 * 3600 * (1 - 1e-4), abs=2)
