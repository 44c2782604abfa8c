"""What an endpoint tells is frozen, and every end of a call is listed as one."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from bridges.wire.sip import event
from bridges.wire.sip.address import Address
from bridges.wire.sip.event import CallHandle, Counters, Invited
from bridges.wire.sip.flow import Flow, Transport
from bridges.wire.sip.uri import Uri

ALICE = Uri.parse("sip:alice@example.com")


def test_header_is_found_whatever_its_case() -> None:
    invited = Invited(
        call=CallHandle("c"),
        flow=Flow(Transport.UDP, "192.0.2.1", 5060),
        request_uri=ALICE,
        caller=Address(ALICE),
        callee=Address(ALICE),
        call_id="1",
        headers=(("X-Campaign", "june"), ("x-campaign", "july")),
        sdp=None,
    )

    assert (invited.header("x-CAMPAIGN"), invited.header("X-Other")) == ("june", "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        invited.call_id = "2"  # type: ignore[misc]


def test_final_events_are_events_of_calls() -> None:
    assert set(event.FINAL) <= set(typing.get_args(event.CallEvent))
    for each in typing.get_args(event.Event):
        assert each.__dataclass_params__.frozen


def test_counters_begin_at_nothing() -> None:
    assert Counters().refusals == {}
