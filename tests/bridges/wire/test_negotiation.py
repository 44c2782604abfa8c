"""Both ends of a dialog joined back to back, and what is remembered between offers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bridges.wire.close import InvalidState
from bridges.wire.media_plan import (
    Capabilities,
    LocalMedia,
    MediaPlan,
    Refusal,
    RefusalReason,
    SrtpUse,
)
from bridges.wire.negotiation import Negotiation
from bridges.wire.sdp import Direction, SdpError

VECTORS = Path(__file__).parents[2] / "vectors/sdp"


def counting() -> Callable[[int], bytes]:
    numbers = iter(range(1, 200))
    return lambda size: bytes([next(numbers)]) * size


def negotiation(port: int = 20_000, srtp: SrtpUse = SrtpUse.OPTIONAL) -> Negotiation:
    return Negotiation(LocalMedia("198.51.100.99", port, port), Capabilities(srtp=srtp), counting())


def version(sdp: bytes | Refusal) -> int:
    assert isinstance(sdp, bytes)
    found = re.search(rb"o=- \d+ (\d+) ", sdp)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("srtp", SrtpUse)
def test_two_of_us_agree(srtp: SrtpUse) -> None:
    caller, callee = negotiation(20_000, srtp), negotiation(30_000)
    answer = callee.answer(caller.offer())
    assert isinstance(answer, bytes)
    assert caller.accept(answer) is caller.plan
    assert caller.plan is not None
    assert callee.plan is not None
    assert (caller.plan.remote, callee.plan.remote) == (
        ("198.51.100.99", 30_000),
        ("198.51.100.99", 20_000),
    )
    ours, theirs = caller.plan.srtp, callee.plan.srtp
    assert (ours is not None) is (srtp is SrtpUse.REQUIRED)
    if ours is not None and theirs is not None:
        assert (ours.local, ours.remote) == (theirs.remote, theirs.local)


def test_version_rises_with_each_change_and_only_then() -> None:
    ours = negotiation()
    offer, hold = ((VECTORS / name).read_bytes() for name in ("asterisk_offer.sdp",
                                                              "hold_sendonly.sdp"))  # fmt: skip
    first = ours.answer(offer)
    assert version(first) == 1
    assert ours.answer(offer) == first
    assert version(ours.answer(hold)) == 2
    assert ours.plan is not None
    assert ours.plan.direction is Direction.RECVONLY
    assert version(ours.answer(offer)) == 3
    assert version(ours.refresh()) == 3
    assert version(ours.offer()) == 4


def test_reoffer_moves_media_and_codec() -> None:
    ours = negotiation()
    ours.answer((VECTORS / "asterisk_offer.sdp").read_bytes())
    ours.answer((VECTORS / "static_payload_types.sdp").read_bytes())
    assert ours.plan is not None
    assert (ours.plan.payload_type, ours.plan.remote) == (0, ("203.0.113.5", 4000))


def test_refusal_leaves_what_was_agreed() -> None:
    ours = negotiation()
    ours.answer((VECTORS / "asterisk_offer.sdp").read_bytes())
    agreed = ours.plan
    assert ours.answer((VECTORS / "fax_only.sdp").read_bytes()) == Refusal(RefusalReason.NO_AUDIO)
    with pytest.raises(SdpError):
        ours.answer(b"nonsense")
    assert ours.plan is agreed
    ours.offer()
    assert isinstance(ours.accept((VECTORS / "fax_only.sdp").read_bytes()), Refusal)
    assert ours.plan is agreed


def test_provisional_and_final_answer_may_differ() -> None:
    ours = negotiation()
    ours.offer()
    early = ours.accept((VECTORS / "static_payload_types.sdp").read_bytes())
    final = ours.accept((VECTORS / "asterisk_offer.sdp").read_bytes())
    assert isinstance(early, MediaPlan)
    assert isinstance(final, MediaPlan)
    assert (early.payload_type, final.payload_type) == (0, 8)


def test_offer_in_an_encrypted_call_keeps_its_key_and_every_medium() -> None:
    ours, theirs = negotiation(), negotiation(30_000, SrtpUse.REQUIRED)
    answer = ours.answer(theirs.offer())
    assert isinstance(answer, bytes)
    theirs.accept(answer)
    agreed = ours.plan
    assert agreed is not None
    for offer in (ours.refresh(), ours.offer()):
        answer = theirs.answer(offer)
        assert isinstance(answer, bytes)
        plan = ours.accept(answer)
        assert isinstance(plan, MediaPlan)
        assert plan.srtp is not None
        assert plan.srtp == agreed.srtp


def test_refresh_of_a_call_with_refused_media() -> None:
    ours = negotiation()
    offer = (VECTORS / "video_first.sdp").read_bytes()
    answer = ours.answer(offer)
    assert isinstance(answer, bytes)
    assert ours.refresh() == answer
    plan = ours.accept(offer)
    assert isinstance(plan, MediaPlan)
    assert plan.payload_type == 98


def test_nothing_can_be_accepted_or_refreshed_before_it_was_said() -> None:
    ours = negotiation()
    with pytest.raises(InvalidState):
        ours.accept((VECTORS / "asterisk_offer.sdp").read_bytes())
    with pytest.raises(InvalidState):
        ours.refresh()
