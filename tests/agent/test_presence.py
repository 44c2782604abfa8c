"""What a caller's participant shows: answered or not, and why it left."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from livekit import rtc

from agent.presence import (
    grace_s,
    is_answered,
    is_expected,
    is_told_elsewhere,
    sends_always,
    why_gone,
    why_left,
)
from contracts.bot import BotConfig
from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.plan import AgentPlan

Left = rtc.DisconnectReason


def plan(channel: Channel = Channel.SIP, media: Any = "tracks", **changes: Any) -> AgentPlan:
    fields: dict[str, Any] = {
        "call_id": "c",
        "session_id": "c",
        "incarnation": 1,
        "channel": channel,
        "call_direction": "incoming",
        "caller_identity": "caller",
        "media": media,
        "config": BotConfig(),
    }
    return AgentPlan.model_validate(fields | changes)


@pytest.mark.parametrize(
    ("call", "attributes", "answered"),
    [
        (plan(media="data"), {}, False),
        (plan(media="data"), {"vf.answered": "1"}, True),
        (plan(media="data"), {"sip.callStatus": "active"}, False),
        (plan(media="data", is_seated=True), {}, True),
        (plan(), {"sip.callStatus": "dialing"}, False),
        (plan(), {"sip.callStatus": "ringing"}, False),
        (plan(), {"sip.callStatus": "automation"}, False),
        (plan(), {"sip.callStatus": "active"}, True),
        (plan(), {"sip.callStatus": "hangup"}, False),
        (plan(Channel.ATTACH), {"sip.callStatus": "ringing"}, True),
        (plan(Channel.WEB), {}, True),
        (plan(Channel.WEB), {"sip.callStatus": "hangup", "vf.answered": ""}, True),
    ],
)
def test_phone_is_answered(call: AgentPlan, attributes: dict[str, str], answered: bool) -> None:
    assert is_answered(call, attributes) is answered


DIALLED = plan(Channel.DIALOUT, call_direction="outgoing")


@pytest.mark.parametrize(
    ("call", "reason", "answered", "ending"),
    [
        (plan(media="data"), Left.CLIENT_INITIATED, True, Reason.CALLER_HUNG_UP),
        (plan(media="data"), Left.PARTICIPANT_REMOVED, True, Reason.BRIDGE_LOST),
        (plan(), Left.CLIENT_INITIATED, True, Reason.CALLER_HUNG_UP),
        (plan(), Left.CLIENT_INITIATED, False, Reason.CALLER_HUNG_UP),
        (plan(), Left.PARTICIPANT_REMOVED, True, Reason.ROOM_LOST),
        (plan(), Left.ROOM_DELETED, True, Reason.ROOM_LOST),
        (plan(), Left.ROOM_CLOSED, True, Reason.ROOM_LOST),
        (plan(), Left.MEDIA_FAILURE, True, Reason.MEDIA_TIMEOUT),
        (DIALLED, Left.CLIENT_INITIATED, True, Reason.CALLER_HUNG_UP),
        (DIALLED, Left.CLIENT_INITIATED, False, Reason.CARRIER_REFUSED),
        (DIALLED, Left.USER_UNAVAILABLE, False, Reason.NO_ANSWER),
        (DIALLED, Left.USER_REJECTED, False, Reason.DECLINED),
        (DIALLED, Left.SIP_TRUNK_FAILURE, False, Reason.CARRIER_REFUSED),
        (DIALLED, Left.PARTICIPANT_REMOVED, False, Reason.DIAL_ABORTED),
        (plan(), Left.CONNECTION_TIMEOUT, True, None),
        (plan(), Left.SIGNAL_CLOSE, True, None),
        (plan(), None, True, None),
    ],
)
def test_participant_that_left_says_why(
    call: AgentPlan, reason: int | None, answered: bool, ending: Reason | None
) -> None:
    assert why_left(call, reason, answered=answered) is ending


@pytest.mark.parametrize(
    ("call", "answered", "ending"),
    [
        (plan(media="data"), True, Reason.BRIDGE_LOST),
        (plan(Channel.WEB), True, Reason.CALLER_DISCONNECTED),
        (plan(), True, Reason.BRIDGE_LOST),
        (plan(), False, Reason.CALLER_HUNG_UP),
        (DIALLED, False, Reason.BRIDGE_LOST),
    ],
)
def test_participant_that_vanished_is_somebodys_fault(
    call: AgentPlan, answered: bool, ending: Reason
) -> None:
    assert why_gone(call, answered=answered) is ending


def test_browser_is_given_time_to_reconnect() -> None:
    assert grace_s(plan(Channel.WEB)) > 12 > grace_s(plan())


def test_browser_that_says_goodbye_may_be_joining_anew() -> None:
    browser, left = plan(Channel.WEB), Reason.CALLER_HUNG_UP
    assert grace_s(browser) > grace_s(browser, left) >= 3
    assert grace_s(plan(), left) == grace_s(plan(media="data"), left) == 0
    assert grace_s(browser, Reason.ROOM_LOST) == 0


def test_caller_is_expected_where_the_room_came_with_them() -> None:
    assert is_expected(plan())
    assert not is_expected(plan(media="data"))
    assert not is_expected(plan(Channel.WEB))
    assert not is_expected(DIALLED)
    assert is_expected(DIALLED.model_copy(update={"answered_at": datetime.now(UTC)}))


@pytest.mark.parametrize(
    ("call", "answered", "elsewhere"),
    [
        (DIALLED, False, True),
        (DIALLED, True, False),
        (plan(Channel.DIALOUT, call_direction="outgoing", media="data"), False, False),
        (plan(Channel.ATTACH, call_direction="outgoing"), False, False),
        (plan(), False, False),
    ],
)
def test_how_a_dial_went_is_the_sidecars_to_tell(
    call: AgentPlan, answered: bool, elsewhere: bool
) -> None:
    assert is_told_elsewhere(call, answered=answered) is elsewhere


@pytest.mark.parametrize(
    ("call", "sends"),
    [
        (plan(), True),
        (DIALLED, True),
        (plan(media="data"), False),
        (plan(Channel.WEB), False),
        (plan(Channel.ATTACH), False),
        (plan(answered_at=datetime.now(UTC)), False),
    ],
)
def test_only_a_phone_of_livekit_sips_sends_always(call: AgentPlan, sends: bool) -> None:
    assert sends_always(call) is sends
