"""A 200 is sent again until its ACK comes, and not for ever."""

from __future__ import annotations

import pytest

from bridges.wire.sip.event import Acked, EndCause, Ended, Invited
from bridges.wire.sip.flow import Transport
from tests.fakes.sip_peer import Peer, an_endpoint
from tests.fakes.sip_wire import SDP


def answered(transport: Transport = Transport.UDP) -> tuple[Peer, Invited]:
    peer = Peer(an_endpoint(), transport)
    peer.invite()
    (invited,) = peer.take_told()
    assert isinstance(invited, Invited)
    peer.endpoint.answer(invited.call, SDP, peer.now)
    peer.take()
    return peer, invited


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
def test_answer_is_sent_again_with_growing_waits(transport: Transport) -> None:
    peer, invited = answered(transport)

    peer.wait(7.6)
    assert peer.names() == ["200"] * 4
    peer.say("ACK", 1)

    assert peer.take_told() == [Acked(invited.call, None)]
    peer.wait(100.0)
    assert peer.names() == []


def test_answer_nobody_acknowledges_ends_the_call() -> None:
    peer, invited = answered()
    peer.wait(32.0)
    assert peer.take_told() == [Ended(invited.call, EndCause.ACK_TIMEOUT)]
    names = peer.names()
    assert names == ["200"] * 10 + ["BYE"]


def test_ack_of_another_invite_does_not_count() -> None:
    peer, _ = answered()
    peer.say("ACK", 2)
    assert peer.take_told() == []
    assert peer.endpoint.counters.stray_acks == 1
