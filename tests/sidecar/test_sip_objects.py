"""What LiveKit SIP is to know of a trunk: everything set, nothing left open, all of it marked."""

from __future__ import annotations

from typing import Any

import pytest
from livekit import api

from contracts.ids import AGENT_NAME, SIP_JOB_METADATA
from contracts.trunk import Trunk
from sidecar.sip_objects import (
    Limits,
    catch_all,
    inbound,
    is_as_wanted,
    marked_for,
    outbound,
    rule,
    sha256_of,
)

LIMITS = Limits(ringing_s=20, call_s=14_400)


def trunk(**changes: Any) -> Trunk:
    given: dict[str, Any] = {
        "trunk_id": "t1",
        "name": "Twilio",
        "address": "sip.carrier.example:5060",
        "transport": "tcp",
        "numbers": ["+911140000000"],
        "username": "u",
        "password": "p",
        "srtp": "allowed",
        "codecs": ["PCMA"],
        "headers": {"X-Account": "7"},
        "domain": "us.example",
        **changes,
    }
    return Trunk(**given)


def test_outbound_trunk_has_everything_a_carrier_asks_for() -> None:
    made = outbound("vf", trunk())
    assert made is not None
    assert made.name == "vf/t1"
    assert made.address == "sip.carrier.example:5060"
    assert made.transport == api.SIPTransport.SIP_TRANSPORT_TCP
    assert (made.auth_username, made.auth_password) == ("u", "p")
    assert list(made.numbers) == ["+911140000000"]
    assert dict(made.headers) == {"X-Account": "7"}
    assert made.from_host == "us.example"
    assert made.include_headers == api.SIPHeaderOptions.SIP_X_HEADERS
    assert [(codec.name, codec.rate) for codec in made.media.codecs] == [("PCMA", 8000)]
    assert made.media.only_listed_codecs
    assert made.media.encryption == api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW


@pytest.mark.parametrize("changes", [{"address": ""}, {"numbers": []}, {"is_active": False}])
def test_trunk_that_cannot_dial_has_no_outbound_half(changes: dict[str, Any]) -> None:
    assert outbound("vf", trunk(**changes)) is None


def test_inbound_trunk_is_bounded_and_answers_known_numbers() -> None:
    made = inbound("vf", trunk(), ["911140000001", "911140000000", "desk"], LIMITS)
    assert made is not None
    assert list(made.numbers) == ["+911140000000", "+911140000001", "desk"]
    assert (made.ringing_timeout.seconds, made.max_call_duration.seconds) == (20, 14_400)
    assert made.include_headers == api.SIPHeaderOptions.SIP_X_HEADERS
    assert list(made.media.codecs) == [api.SIPCodec(name="PCMA", rate=8000)]


def test_inbound_trunk_lets_in_whom_the_trunk_names() -> None:
    peers = {"inbound_username": "in", "inbound_password": "secret"}
    made = inbound("vf", trunk(numbers=[], inbound_addresses=["10.0.0.0/8"], **peers), [], LIMITS)
    assert made is not None
    assert (made.auth_username, made.auth_password) == ("in", "secret")
    assert list(made.allowed_addresses) == ["10.0.0.0/8"]


@pytest.mark.parametrize("changes", [{"numbers": []}, {"is_active": False}])
def test_trunk_open_to_everybody_is_not_made(changes: dict[str, Any]) -> None:
    assert inbound("vf", trunk(**changes), [], LIMITS) is None


def test_rule_makes_a_room_per_call_and_calls_our_agent_into_it() -> None:
    made = rule("vf", trunk(), "ST_1")
    assert list(made.trunk_ids) == ["ST_1"]
    room = made.rule.dispatch_rule_callee
    assert (room.room_prefix, room.randomize, room.pin) == ("call-", True, "")
    (agent,) = made.room_config.agents
    assert (agent.agent_name, agent.metadata) == (AGENT_NAME, SIP_JOB_METADATA)
    assert (made.room_config.empty_timeout, made.room_config.departure_timeout) == (20, 3)
    assert made.media.encryption == api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW


def test_catch_all_is_for_calls_that_no_trunk_takes() -> None:
    made = catch_all("vf")
    assert list(made.trunk_ids) == []
    assert made.room_config.agents[0].metadata == SIP_JOB_METADATA
    assert marked_for("vf", made) == "catch-all"


@pytest.mark.parametrize(
    ("name", "trunk_id"), [("vf/t1", "t1"), ("vf", None), ("other/t1", None), ("vf2/t1", None)]
)
def test_objects_without_our_mark_are_somebody_else_s(name: str, trunk_id: str | None) -> None:
    assert marked_for("vf", api.SIPInboundTrunkInfo(name=name)) == trunk_id


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "other.example"},
        {"password": "new"},
        {"numbers": ["+911140000009"]},
        {"codecs": ["PCMU"]},
        {"srtp": "required"},
        {"is_active": False},
    ],
)
def test_hash_tells_every_change(changes: dict[str, Any]) -> None:
    assert sha256_of([outbound("vf", trunk())]) == sha256_of([outbound("vf", trunk())])
    assert sha256_of([outbound("vf", trunk())]) != sha256_of([outbound("vf", trunk(**changes))])


def test_what_livekit_notes_beside_is_no_difference() -> None:
    wanted = outbound("vf", trunk(srtp="off"))
    assert wanted is not None
    found = api.SIPOutboundTrunkInfo()
    found.CopyFrom(wanted)
    found.sip_trunk_id = "ST_1"
    found.updated_at.GetCurrentTime()
    found.media.ClearField("encryption")
    assert is_as_wanted(found, wanted)
    found.numbers.append("+1")
    assert not is_as_wanted(found, wanted)


def test_rule_to_which_livekit_adds_its_defaults_is_no_other() -> None:
    found = catch_all("vf")
    found.media.encryption = api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_DISABLE
    assert is_as_wanted(found, catch_all("vf"))
    found.media.encryption = api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE
    assert not is_as_wanted(found, catch_all("vf"))
