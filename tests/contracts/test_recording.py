"""What a host says of a recording: only what can be true."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contracts.recording import RecordingOffer, RecordingTarget

OFFER: dict[str, Any] = {
    "incarnation": 2,
    "duration_s": 1.5,
    "size_bytes": 48_044,
    "sha256": "0" * 64,
}


def test_offer_survives_the_way() -> None:
    offer = RecordingOffer(**OFFER)
    assert RecordingOffer.model_validate_json(offer.model_dump_json()) == offer


@pytest.mark.parametrize(
    "wrong",
    [
        {"incarnation": 0},
        {"duration_s": float("inf")},
        {"duration_s": -1},
        {"size_bytes": 43},
        {"size_bytes": 2**32 + 44},
        {"sha256": "0" * 63},
        {"sha256": "G" * 64},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RecordingOffer(**OFFER | wrong)


def test_target_without_an_address_is_the_sidecar() -> None:
    assert RecordingTarget(key="a.wav").url == ""
