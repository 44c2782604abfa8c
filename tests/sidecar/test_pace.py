"""The rate of call starts."""

from __future__ import annotations

import pytest

from sidecar.pace import Pace, TooFast


def test_burst_starts_at_once_and_the_rest_in_turn() -> None:
    pace = Pace(4.0, burst=2, max_wait_s=10.0)
    assert [pace.reserve(100.0) for _ in range(5)] == [0.0, 0.0, 0.25, 0.5, 0.75]


def test_calls_that_come_slower_than_the_rate_never_wait() -> None:
    pace = Pace(4.0, burst=1, max_wait_s=10.0)
    assert [pace.reserve(now) for now in (1.0, 1.25, 1.5, 9.0)] == [0.0] * 4


def test_pause_allows_one_burst_and_no_more() -> None:
    pace = Pace(1.0, burst=2, max_wait_s=10.0)
    assert [pace.reserve(0.0), pace.reserve(0.0)] == [0.0, 0.0]
    assert [pace.reserve(100.0) for _ in range(3)] == [0.0, 0.0, 1.0]


def test_whoever_would_wait_too_long_is_refused_and_takes_no_turn() -> None:
    pace = Pace(1.0, burst=1, max_wait_s=1.0)
    assert [pace.reserve(0.0), pace.reserve(0.0)] == [0.0, 1.0]
    for _ in range(3):
        with pytest.raises(TooFast) as caught:
            pace.reserve(0.0)
        assert caught.value.wait_s == 2.0
    assert pace.reserve(1.0) == 1.0


def test_no_rate_means_no_waiting() -> None:
    pace = Pace(0.0, burst=1, max_wait_s=0.0)
    assert [pace.reserve(0.0) for _ in range(100)] == [0.0] * 100
