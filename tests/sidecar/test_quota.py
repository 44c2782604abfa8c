"""How often strangers may ask."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sidecar.quota import Quota, asker_of
from sidecar.trunk_pace import Empty
from tests.fakes.control_plane import START


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def test_so_many_a_minute_and_one_more_as_time_goes_by() -> None:
    quota = Quota(2)
    quota.take("a", START)
    quota.take("a", START)
    with pytest.raises(Empty) as empty:
        quota.take("a", START)
    assert empty.value.wait_s == 30
    with pytest.raises(Empty):
        quota.take("a", START + after(29))
    quota.take("a", START + after(30))


def test_names_do_not_count_for_each_other() -> None:
    quota = Quota(1)
    quota.take("a", START)
    quota.take("b", START)


def test_refusals_cost_nothing() -> None:
    quota = Quota(1)
    quota.take("a", START)
    for second in range(59):
        with pytest.raises(Empty):
            quota.take("a", START + after(second))
    quota.take("a", START + after(60))


def test_of_too_many_names_the_longest_silent_is_forgotten() -> None:
    quota = Quota(1, max_names=2)
    for name in ("a", "b"):
        quota.take(name, START)
    with pytest.raises(Empty):
        quota.take("a", START)
    quota.take("c", START)
    with pytest.raises(Empty):
        quota.take("a", START)
    quota.take("b", START)


@pytest.mark.parametrize(
    ("address", "asker"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("a socket", "a socket"),
        ("", ""),
    ],
)
def test_customers_are_counted_not_their_addresses(address: str, asker: str) -> None:
    assert asker_of(address) == asker
