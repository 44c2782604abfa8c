"""A trunk's tokens: a burst at once, then so many a second, and no more for a clock that is set."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sidecar.trunk_pace import Bucket, Empty
from tests.fakes.control_plane import START


def test_burst_at_once_then_one_by_one() -> None:
    bucket = Bucket(0.0, None)
    for left in (2, 1, 0):
        bucket = bucket.taken(START, cps=0.5, burst=3)
        assert bucket == Bucket(left, START)
    with pytest.raises(Empty) as empty:
        bucket.taken(START, cps=0.5, burst=3)
    assert empty.value.wait_s == 2.0
    later = START + timedelta(seconds=2)
    assert bucket.taken(later, cps=0.5, burst=3) == Bucket(0.0, later)


def test_tokens_gather_up_to_the_burst() -> None:
    bucket = Bucket(0.0, START).taken(START + timedelta(days=1), cps=1, burst=5)
    assert bucket.tokens == 4.0


def test_clock_that_is_set_back_gives_and_takes_nothing() -> None:
    bucket = Bucket(1.5, START).taken(START - timedelta(hours=1), cps=10, burst=5)
    assert bucket.tokens == 0.5


def test_smaller_burst_counts_at_once() -> None:
    assert Bucket(50.0, START).taken(START, cps=1, burst=2).tokens == 1.0
