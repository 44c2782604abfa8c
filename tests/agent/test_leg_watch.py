"""What a leg tells, whoever else speaks in the room and whatever arrives."""

from __future__ import annotations

from typing import Any

import pytest
from livekit import rtc

from agent.leg_watch import LegWatch
from contracts.ids import HOLD_ATTRIBUTE, LEG_NEWS_TOPIC
from contracts.leg_news import (
    AnyNews,
    CallAnswered,
    CallHeld,
    DigitHeard,
    TransferAccepted,
    TransferDone,
    TransferRefused,
)
from contracts.report import DigitPressed
from tests.fakes.phone_room import FakeCaller, PhoneRoom


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def held(self, is_held: bool) -> None:
        self.heard.append(("held", is_held))

    def pressed(self, digit: str) -> None:
        self.heard.append(("pressed", digit))

    def transfer_done(self) -> None:
        self.heard.append(("done",))

    def transfer_failed(self, reason: str) -> None:
        self.heard.append(("failed", reason))


class Leg:
    """A watched leg."""

    def __init__(self) -> None:
        self.room = PhoneRoom("caller")
        self.told: list[DigitPressed] = []
        self.listener = Listener()
        anything: Any = self.room
        self.watch = LegWatch(anything, "caller", self.told.append)
        self.watch.listen(self.listener)

    def dtmf(self, code: int, digit: str, sender: Any = None) -> None:
        anything: Any = sender or self.room.caller
        self.room.emit("sip_dtmf_received", rtc.SipDTMF(code, digit, anything))


async def test_news_is_passed_on_by_kind() -> None:
    leg = Leg()
    every: list[AnyNews] = [
        CallAnswered(),
        DigitHeard(digit="#"),
        TransferAccepted(),
        TransferRefused(reason="busy"),
        TransferDone(),
        CallHeld(),
    ]
    for news in every:
        leg.room.news(news)
    assert leg.listener.heard == [("pressed", "#"), ("failed", "busy"), ("done",), ("held", True)]


async def test_only_the_caller_is_believed() -> None:
    leg = Leg()
    stranger = FakeCaller("supervisor")
    leg.room.news(CallHeld(), sender=stranger)
    leg.dtmf(1, "1", stranger)
    changed = {HOLD_ATTRIBUTE: "1"}
    leg.room.emit("participant_attributes_changed", changed, stranger)
    leg.room.emit("participant_connected", stranger)
    assert leg.listener.heard == []


@pytest.mark.parametrize("data", [b"", b"{}", b'{"event": "dtmf", "digit": "12"}', b"\xff"])
async def test_what_is_no_news_is_nothing(data: bytes) -> None:
    leg = Leg()
    leg.room._deliver(data, LEG_NEWS_TOPIC, leg.room.caller)
    leg.room._deliver(b'{"event": "call_hold"}', "somewhere.else", leg.room.caller)
    assert leg.listener.heard == []


async def test_keys_are_known_by_code_where_livekit_names_none() -> None:
    leg = Leg()
    leg.dtmf(10, "")
    leg.dtmf(3, "3")
    leg.dtmf(99, "?")
    assert leg.listener.heard == [("pressed", "*"), ("pressed", "3")]
    assert [fact.digit for fact in leg.told] == ["*", "3"]


async def test_flood_of_keys_is_not_reported_for_ever() -> None:
    leg = Leg()
    for _ in range(2000):
        leg.dtmf(1, "1")
    assert len(leg.told) == 500


async def test_caller_who_comes_held_is_known_to_be() -> None:
    leg = Leg()
    leg.room.caller.attributes[HOLD_ATTRIBUTE] = "1"
    leg.room.emit("participant_connected", leg.room.caller)
    assert leg.listener.heard == [("held", True)]


async def test_nothing_is_told_after_the_end() -> None:
    leg = Leg()
    leg.watch.close()
    leg.watch.close()
    leg.room.hold()
    leg.dtmf(1, "1")
    assert (leg.listener.heard, leg.told) == ([], [])


async def test_nobody_listening_is_no_harm() -> None:
    room = PhoneRoom("caller")
    anything: Any = room
    watch = LegWatch(anything, "caller", lambda _: None)
    for news in (TransferDone(), TransferRefused(), DigitHeard(digit="1"), CallHeld()):
        room.news(news)
    late = Listener()
    watch.listen(late)
    assert late.heard == [("held", True)]
