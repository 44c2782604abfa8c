"""`sidecar.schedule`: delays, their jitter, and what a receiver may ask for."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.schedule import JITTER, Schedule, asked_s
from sidecar.settings import RETRY_DELAYS_S
from tests.fakes.control_plane import START

TOTAL_S = timedelta(hours=75, minutes=35, seconds=5).total_seconds()
CHANCES = st.floats(0, 1, exclude_max=True)


@given(st.lists(CHANCES, min_size=9, max_size=9))
def test_jitter_only_adds_and_never_more_than_its_share(chances: list[float]) -> None:
    schedule = Schedule(RETRY_DELAYS_S, iter(chances).__next__)
    waits_s = [schedule.delay_s(tried) for tried in range(1, schedule.attempts)]
    for wait_s, delay_s in zip(waits_s, RETRY_DELAYS_S[1:], strict=True):
        assert delay_s <= wait_s <= delay_s * (1 + JITTER)
    assert sum(waits_s) >= TOTAL_S


def test_receivers_that_failed_together_are_spread() -> None:
    chances = iter([n / 10 for n in range(10)])
    schedule = Schedule([0, 100], chances.__next__)
    assert len({schedule.delay_s(1) for _ in range(10)}) == 10


@pytest.mark.parametrize(
    ("asked", "waited_s"), [(0, 5), (1, 5), (60, 60), (10**9, 86_400), (float("inf"), 86_400)]
)
def test_receiver_may_ask_for_more_up_to_the_longest_delay(asked: float, waited_s: float) -> None:
    assert Schedule(RETRY_DELAYS_S, lambda: 0.0).delay_s(1, asked) == waited_s


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        ("120", 120),
        (" 0 ", 0),
        (format_datetime(START + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(START - timedelta(seconds=90), usegmt=True), 0),
        ("Fri, 05 Jun 2026 10:00:30 -0000", 30),
        ("Friday, 05-Jun-26 10:01:00 GMT", 60),
        ("9" * 5_000, float("inf")),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("Fri, 05 Jun 99999999999999999999 10:00:30 GMT", 0),
        ("Fri, 32 Jun 2026 10:00:30 GMT", 0),
        ("Fri, 05 Jun 2026 10:00:30 +9999999999", 0),
    ],
)
def test_header_is_seconds_or_a_date(header: str, expected_s: float) -> None:
    assert asked_s(header, START) == expected_s


@given(st.text())
def test_no_header_is_worse_than_none(header: str) -> None:
    assert asked_s(header, START) >= 0
