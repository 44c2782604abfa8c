"""Ports in turn, and never too soon."""

from __future__ import annotations

import pytest

from bridges.sip.port_pool import COOLDOWN_S, PortPool, PortsExhausted


@pytest.mark.parametrize(
    ("first", "last", "ports"),
    [
        (20_000, 20_005, [20_000, 20_002, 20_004]),
        (20_001, 20_005, [20_002, 20_004]),
        (20_000, 20_004, [20_000, 20_002]),
        (20_000, 20_000, []),
    ],
)
def test_even_ports_whose_odd_neighbour_is_in_the_range(
    first: int, last: int, ports: list[int]
) -> None:
    pool = PortPool(first, last)
    assert pool.size == len(ports)
    assert [pool.take(0.0) for _ in ports] == ports
    with pytest.raises(PortsExhausted):
        pool.take(0.0)


def test_port_rests_before_it_is_given_out_again() -> None:
    pool = PortPool(20_000, 20_003)
    one, _ = pool.take(0.0), pool.take(0.0)
    pool.give_back(one, 10.0)
    with pytest.raises(PortsExhausted):
        pool.take(10.0 + COOLDOWN_S - 0.1)
    assert pool.take(10.0 + COOLDOWN_S) == one


def test_port_that_was_not_used_for_longest_comes_first() -> None:
    pool = PortPool(20_000, 20_005, cooldown_s=1.0)
    ports = [pool.take(0.0) for _ in range(3)]
    for port in reversed(ports):
        pool.give_back(port, 1.0)
    assert [pool.take(5.0) for _ in range(3)] == ports[::-1]
