"""What a plan tells of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridges.wire.media_plan import Codec, MediaPlan
from bridges.wire.sdp import Direction

PLAN = MediaPlan(
    codec=Codec.PCMA,
    payload_type=8,
    dtmf_payload_type=101,
    receives={8: Codec.PCMA},
    receives_dtmf=frozenset({101}),
    receives_noise=frozenset(),
    ptime_ms=20,
    direction=Direction.SENDRECV,
    remote=("192.0.2.1", 4000),
    srtp=None,
)


@pytest.mark.parametrize(
    ("direction", "is_held"),
    [
        (Direction.SENDRECV, False),
        (Direction.SENDONLY, False),
        (Direction.RECVONLY, True),
        (Direction.INACTIVE, True),
    ],
)
def test_hold_is_not_being_heard(direction: Direction, is_held: bool) -> None:
    assert replace(PLAN, direction=direction).is_held is is_held


def test_plan_takes_what_was_agreed_and_nothing_else() -> None:
    plan = replace(PLAN, receives_noise=frozenset({13}))
    assert [number for number in range(128) if plan.takes(number)] == [8, 13, 101]


def test_codecs_have_the_payload_types_of_rfc_3551() -> None:
    assert [(codec.encoding, codec.static_payload_type) for codec in Codec] == [
        ("PCMA", 8),
        ("PCMU", 0),
    ]
