"""Whose media a call listens to: each rule, and who tries to get around it."""

from __future__ import annotations

import pytest

from bridges.wire.latch import RELATCH_AFTER_S, Address, Latch, Trust

PEER: Address = ("192.0.2.1", 4000)
NAT: Address = ("203.0.113.9", 61_000)
STRANGER: Address = ("198.51.100.66", 4000)


def latch(trust: Trust = Trust.SIGNALLED, *hosts: str) -> Latch:
    fresh = Latch(trust)
    fresh.expect(PEER, frozenset(hosts))
    return fresh


def test_media_go_where_the_peer_says_until_they_come_from_elsewhere() -> None:
    ours = latch(Trust.SIGNALLED, NAT[0])
    assert ours.target == PEER
    assert ours.admit(NAT, 7, 1.0)
    assert (ours.target, ours.address, ours.ssrc) == (NAT, NAT, 7)


def test_other_port_of_the_trusted_host_latches() -> None:
    ours = latch()
    assert ours.admit((PEER[0], 4444), 7, 1.0)
    assert ours.target == (PEER[0], 4444)


def test_stranger_never_latches_unless_anyone_may() -> None:
    ours = latch()
    assert not ours.admit(STRANGER, 7, 1.0)
    assert ours.target == PEER
    assert latch(Trust.ANYONE).admit(STRANGER, 7, 1.0)


def test_stranger_cannot_steal_or_mix_even_where_anyone_may_begin() -> None:
    ours = latch(Trust.ANYONE)
    ours.admit(NAT, 7, 1.0)
    for now in (1.01, 1.2, 1.4):
        assert not ours.admit(STRANGER, 7, now)
        assert not ours.admit(STRANGER, 8, now)
        assert not ours.admit(NAT, 8, now)
        assert ours.admit(NAT, 7, now)
    assert ours.target == NAT


def test_another_source_takes_over_after_silence() -> None:
    ours = latch()
    ours.admit(PEER, 7, 1.0)
    assert not ours.admit(PEER, 8, 1.0 + RELATCH_AFTER_S - 0.01)
    assert ours.admit(PEER, 8, 1.0 + RELATCH_AFTER_S)
    assert ours.ssrc == 8
    assert not ours.admit(PEER, 7, 1.0 + RELATCH_AFTER_S + 0.01)


def test_untrusted_source_does_not_even_after_silence() -> None:
    ours = latch()
    ours.admit(PEER, 7, 1.0)
    assert not ours.admit(STRANGER, 7, 60.0)


@pytest.mark.parametrize(("ssrc", "admitted"), [(7, True), (8, False)])
def test_authentic_source_may_move_at_once(ssrc: int, admitted: bool) -> None:
    ours = latch()
    assert ours.admit(NAT, 7, 1.0, authentic=True)
    moved = (NAT[0], 61_001)
    assert ours.admit(moved, ssrc, 1.02, authentic=True) is admitted
    assert ours.target == (moved if admitted else NAT)


def test_new_description_releases_the_latch_and_the_same_one_does_not() -> None:
    ours = latch()
    ours.admit((PEER[0], 4444), 7, 1.0)
    ours.expect(PEER, frozenset())
    assert ours.target == (PEER[0], 4444)
    ours.expect(("192.0.2.2", 5000), frozenset())
    assert ours.target == ("192.0.2.2", 5000)
    assert not ours.admit(PEER, 7, 1.1)
    assert ours.admit(("192.0.2.2", 5000), 9, 1.1)


def test_hold_of_old_keeps_what_was_known() -> None:
    ours = latch()
    ours.admit(PEER, 7, 1.0)
    ours.expect(None, frozenset())
    assert ours.target == PEER
    nowhere = Latch()
    nowhere.expect(None, frozenset())
    assert nowhere.target is None
    assert not nowhere.admit(PEER, 7, 1.0)
