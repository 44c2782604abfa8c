"""What the two ends tell: records that nobody changes."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from bridges.wire.exotel_event import AudioReceived, ExotelEvent, ExotelPhoneEvent, StreamRate


def test_either_ends_union_is_closed_and_they_share_nothing() -> None:
    ours, theirs = set(get_args(ExotelEvent)), set(get_args(ExotelPhoneEvent))

    assert len(ours) == 5
    assert len(theirs) == 3
    assert not ours & theirs
    assert get_args(StreamRate) == (8000, 16000, 24000)


def test_record_cannot_be_changed() -> None:
    event = AudioReceived(b"")

    with pytest.raises(dataclasses.FrozenInstanceError):
        event.pcm = b"x"  # type: ignore[misc]
