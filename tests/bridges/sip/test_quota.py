"""Token buckets by address."""

from __future__ import annotations

from bridges.sip.quota import Quota


def test_address_spends_its_burst_and_then_its_rate() -> None:
    quota = Quota(rate=2, burst=3)
    assert [quota.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert quota.wait_s("a", 0.0) == 0.5
    assert quota.take("a", 0.5)
    assert not quota.take("a", 0.5)


def test_debt_is_waited_for() -> None:
    quota = Quota(rate=2, burst=3)
    quota.charge("a", 0.0, 13)
    assert quota.wait_s("a", 0.0) == 5.5
    assert not quota.take("a", 5.0)
    assert quota.take("a", 5.5)


def test_addresses_do_not_share() -> None:
    quota = Quota(rate=1, burst=1)
    assert quota.take("a", 0.0)
    assert quota.take("b", 0.0)
    assert not quota.take("a", 0.0)


def test_bucket_holds_no_more_than_its_burst() -> None:
    quota = Quota(rate=100, burst=2)
    assert quota.take("a", 0.0, tokens=2)
    assert quota.take("a", 1000.0, tokens=2)
    assert not quota.take("a", 1000.0)


def test_address_unseen_for_longest_is_forgotten() -> None:
    quota = Quota(rate=0.001, burst=1, max_addresses=2)
    assert quota.take("a", 0.0)
    assert quota.take("b", 1.0)
    assert not quota.take("a", 2.0)
    assert quota.take("c", 3.0)
    assert len(quota) == 2
    assert not quota.take("a", 4.0)
    assert quota.take("b", 5.0)
