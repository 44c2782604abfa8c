"""Who the caller is among those in a room."""

from __future__ import annotations

from typing import Any

from livekit import rtc

from agent.caller import Caller
from tests.fakes.phone_room import FakeCaller, PhoneRoom

Kind = rtc.ParticipantKind


def someone(identity: str, kind: int = Kind.PARTICIPANT_KIND_STANDARD) -> Any:
    who = FakeCaller(identity)
    who.kind = kind
    return who


def empty_room() -> Any:
    room = PhoneRoom("caller")
    room.remote_participants.clear()
    return room


def test_caller_of_the_plan_is_known_before_they_come() -> None:
    room = empty_room()
    caller = Caller(room, "caller")
    assert caller.participant is None
    room.emit("participant_connected", someone("other"))
    assert not caller.is_(someone("other"))
    assert not caller.is_(None)
    room.remote_participants["caller"] = who = someone("caller")
    assert caller.is_(who)
    assert caller.participant is who


def test_first_person_is_the_caller_where_nobody_was_announced() -> None:
    room = empty_room()
    caller = Caller(room, "")
    assert caller.participant is None
    assert not caller.is_(someone(""))
    for kind in (Kind.PARTICIPANT_KIND_AGENT, Kind.PARTICIPANT_KIND_EGRESS):
        room.emit("participant_connected", someone("machine", kind))
    assert caller.identity == ""
    room.emit("participant_connected", someone("first"))
    room.emit("participant_connected", someone("second"))
    assert caller.identity == "first"
    assert not caller.is_(someone("second"))


def test_whoever_is_there_already_is_the_caller() -> None:
    room = empty_room()
    room.remote_participants["bot"] = someone("bot", Kind.PARTICIPANT_KIND_AGENT)
    room.remote_participants["first"] = someone("first")
    assert Caller(room, "").identity == "first"
