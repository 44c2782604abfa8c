"""`contracts.ids`: every name derives from the call id and can be read back."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import (
    Channel,
    agent_identity,
    agent_incarnation,
    attached_identity,
    call_id_from,
    caller_identity,
    job_metadata,
    parse_job_metadata,
    parse_standby_metadata,
    room_agent_identity,
    room_name,
    standby_identity,
    standby_metadata,
    standby_of,
    standby_room,
)

CALL_ID = "3f2c8a54-1111-4222-8333-444455556666"
OTHER_ID = "00000000-1111-4222-8333-444455556666"

incarnations = st.integers(min_value=1, max_value=999_999)


@given(st.binary(min_size=16, max_size=16))
def test_call_id_is_a_version_4_uuid(random_bytes: bytes) -> None:
    call_id = call_id_from(random_bytes)
    assert len(call_id) == 36
    assert UUID(call_id).version == 4


@pytest.mark.parametrize("channel", Channel)
def test_room_name_names_channel_and_call(channel: Channel) -> None:
    name = room_name(channel, CALL_ID)
    assert name.endswith(f"-{CALL_ID}")
    assert len({room_name(each, CALL_ID) for each in Channel}) == len(Channel)


def test_room_name_of_the_dialler_door_is_short() -> None:
    assert room_name(Channel.WEBSOCKET, CALL_ID) == f"ws-{CALL_ID}"


def test_caller_identity_differs_per_call() -> None:
    assert caller_identity(CALL_ID) == f"caller-{CALL_ID}"
    assert caller_identity(CALL_ID) != caller_identity(OTHER_ID)


@given(incarnations)
def test_agent_identity_round_trips(incarnation: int) -> None:
    identity = agent_identity(CALL_ID, incarnation)
    assert agent_incarnation(identity, CALL_ID) == incarnation
    assert agent_incarnation(identity, OTHER_ID) is None


@pytest.mark.parametrize(
    "identity",
    [
        "",
        f"caller-{CALL_ID}",
        f"agent-{CALL_ID}",
        f"agent-{CALL_ID}-0",
        f"agent-{CALL_ID}-01",
        f"agent-{CALL_ID}-1\n",
        f"agent-{CALL_ID}-1000000",
        f"agent-{CALL_ID.upper()}-1",
    ],
)
def test_agent_incarnation_is_none_for_other_identities(identity: str) -> None:
    assert agent_incarnation(identity, CALL_ID) is None


@given(incarnations)
def test_job_metadata_round_trips(incarnation: int) -> None:
    assert parse_job_metadata(job_metadata(CALL_ID, incarnation)) == (CALL_ID, incarnation)


@pytest.mark.parametrize(
    "metadata", ["", CALL_ID, f"{CALL_ID} 0", f"{CALL_ID} one", f" {CALL_ID} 1", "{}"]
)
def test_job_metadata_is_refused_when_it_is_not_ours(metadata: str) -> None:
    with pytest.raises(ValueError, match="not '<call id> <incarnation>'"):
        parse_job_metadata(metadata)


@given(st.text(max_size=60))
def test_job_metadata_raises_only_value_error(metadata: str) -> None:
    try:
        call_id, incarnation = parse_job_metadata(metadata)
    except ValueError:
        return
    assert job_metadata(call_id, incarnation) == metadata


def test_waiting_agent_is_the_first_incarnation_of_the_call_that_names_it() -> None:
    waiting = standby_identity(OTHER_ID)
    assert agent_incarnation(waiting, CALL_ID, OTHER_ID) == 1
    assert agent_incarnation(waiting, CALL_ID) is None
    assert agent_incarnation(waiting, CALL_ID, CALL_ID) is None
    assert agent_incarnation(agent_identity(CALL_ID, 2), CALL_ID, OTHER_ID) == 2


def test_waiting_room_names_its_agent_and_other_rooms_none() -> None:
    assert standby_of(standby_room(OTHER_ID)) == OTHER_ID
    assert standby_of(room_name(Channel.WEBSOCKET, CALL_ID)) == ""


def test_dispatch_is_for_a_call_or_to_wait() -> None:
    assert parse_standby_metadata(standby_metadata(OTHER_ID)) == OTHER_ID
    for foreign in (job_metadata(CALL_ID, 1), "standby", f"standby {OTHER_ID} 1", ""):
        assert parse_standby_metadata(foreign) == ""
    with pytest.raises(ValueError, match="metadata"):
        parse_job_metadata(standby_metadata(OTHER_ID))


def test_agent_a_rule_called_is_named_after_its_room_without_the_callers_number() -> None:
    room = "call-_+14155550123_kQx2vY9fTz1a"
    identity = room_agent_identity(room)
    assert identity == room_agent_identity(room) != room_agent_identity(f"{room}b")
    assert "4155550123" not in identity
    assert agent_incarnation(identity, "6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b11") is None


def test_callee_a_campaign_attached_is_named_after_the_number() -> None:
    assert attached_identity("+14155550123") == "sip-+14155550123"
