"""The records are values: drivers may keep them, compare them and match on them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import get_args

import pytest

from bridges.wire import dialler_event
from bridges.wire.dialler_event import DiallerEvent, HungUp, PhoneEvent


def test_every_record_belongs_to_exactly_one_end() -> None:
    records = {
        thing
        for thing in vars(dialler_event).values()
        if isinstance(thing, type) and thing.__module__ == dialler_event.__name__
    }

    ours, theirs = set(get_args(DiallerEvent)), set(get_args(PhoneEvent))
    assert ours | theirs == records
    assert not ours & theirs


def test_records_are_frozen() -> None:
    event = HungUp("customer")

    with pytest.raises(FrozenInstanceError):
        event.disconnected_by = "bot"  # type: ignore[misc]
