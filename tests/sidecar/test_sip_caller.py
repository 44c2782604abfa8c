"""What LiveKit SIP tells of a phone, in the order of the contract."""

from __future__ import annotations

import pytest

from sidecar.sip_caller import MAX_NUMBER_CHARS, caller_of

FULL = {
    "sip.callID": "SCL_1",
    "sip.callStatus": "ringing",
    "sip.trunkID": "ST_in",
    "sip.trunkPhoneNumber": "+918047091234",
    "sip.phoneNumber": "+15550100",
    "sip.h.x-customer-id": "7",
    "sip.h.via": "SIP/2.0/UDP 192.0.2.1",
}


def test_everything_is_taken_from_the_attributes() -> None:
    caller = caller_of("call-1", "sip_+15550199", FULL)
    assert (caller.room_name, caller.identity) == ("call-1", "sip_+15550199")
    assert (caller.caller_id, caller.dialled) == ("+15550100", "+918047091234")
    assert (caller.livekit_trunk_id, caller.call_ref) == ("ST_in", "SCL_1")
    assert caller.connected_event == {
        "sip_header_x_customer_id": "7",
        "sip_headers_json": '{"x-customer-id": "7"}',
    }


def test_number_that_was_called_goes_before_the_trunks() -> None:
    assert caller_of("r", "i", {**FULL, "sip.calledNumber": "demo"}).dialled == "demo"


@pytest.mark.parametrize(
    ("identity", "number"),
    [("sip_+15550100", "+15550100"), ("sip-15550100", "15550100"), ("browser", ""), ("", "")],
)
def test_without_a_number_the_callers_name_is_looked_at(identity: str, number: str) -> None:
    assert caller_of("r", identity, {}).caller_id == number


def test_what_is_missing_is_empty_and_what_is_long_is_cut() -> None:
    nothing = caller_of("r", "phone", {})
    assert (nothing.dialled, nothing.livekit_trunk_id, nothing.call_ref) == ("", "", "")
    assert nothing.connected_event == {}
    long = caller_of("r", "i", {"sip.phoneNumber": "9" * 5000})
    assert len(long.caller_id) == MAX_NUMBER_CHARS
