"""What LiveKit's word on who left means for a call."""

from __future__ import annotations

import pytest
from livekit.api import DisconnectReason

from contracts.bot import BotConfig
from contracts.call import CallState
from contracts.ids import Channel, agent_identity, caller_identity
from contracts.outcome import Reason
from contracts.plan import PlanRequest
from contracts.report import (
    AgentEnded,
    ConversationStarted,
    HandedOff,
    LegAnswered,
    LegEnded,
    Source,
    TransferStarted,
)
from sidecar.configure import ConfigQuery, OwnBots
from sidecar.denial import Code, Denied
from sidecar.departure import LOST, REASONS, Departures, reason_of
from tests.fakes.control_plane import ControlPlane

PHONE = "sip_+15550100"


def departures(plane: ControlPlane) -> Departures:
    return Departures(plane.database, plane.calls, plane.losses, plane.clock)


async def talking(plane: ControlPlane, channel: Channel = Channel.SIP) -> str:
    """Bring a call of a phone behind LiveKit SIP to where both sides talk."""
    await plane.ready()
    plan = await plane.plan(
        channel=channel, media="tracks", room_name="call-1", caller_identity=PHONE
    )
    await plane.claim(plan.call_id)
    await plane.report(plan.call_id, Source.AGENT, 1, ConversationStarted(at=plane.clock()))
    return plan.call_id


async def test_phone_that_hangs_up_ends_its_call_with_the_agents_word(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    at = plane.clock.advance(3)
    await departures(plane).left("default", "call-1", PHONE, "CLIENT_INITIATED")
    row = await plane.row(call_id)
    assert (row.leg_ended, row.end_reason, row.end_at) == (True, Reason.CALLER_HUNG_UP, at)
    assert row.settle_due_at is not None
    over = AgentEnded(at=plane.clock.advance(1), reason=Reason.CALLER_HUNG_UP)
    await plane.report(call_id, Source.AGENT, 2, over)
    row = await plane.row(call_id)
    assert (row.state, row.end_reason, row.end_at) == (
        CallState.ENDED, Reason.CALLER_HUNG_UP, at,
    )  # fmt: skip


async def test_call_ends_without_the_agents_word_too(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await departures(plane).left("default", "call-1", PHONE, "CLIENT_INITIATED")
    plane.clock.advance(plane.settings.settle_s + 1)
    await plane.watch.tick()
    assert (await plane.row(call_id)).end_reason is Reason.CALLER_HUNG_UP


async def test_call_ends_without_livekits_word_too(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    over = AgentEnded(at=plane.clock(), reason=Reason.BOT_ENDED)
    await plane.report(call_id, Source.AGENT, 2, over)
    plane.clock.advance(1.5)
    await plane.watch.tick()
    assert (await plane.row(call_id)).end_reason is Reason.BOT_ENDED


async def test_the_phones_leaving_is_told_once(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    for reason in ("CLIENT_INITIATED", "CONNECTION_TIMEOUT"):
        await departures(plane).left("default", "call-1", PHONE, reason)
    row = await plane.row(call_id)
    assert (row.bridge_seq, row.end_reason) == (1, Reason.CALLER_HUNG_UP)


async def test_ending_known_before_stands(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    removed = LegEnded(at=plane.clock(), reason=Reason.BOT_ENDED)
    plane.clock.advance(0.1)
    await departures(plane).left("default", "call-1", PHONE, "PARTICIPANT_REMOVED")
    await plane.calls.note("default", call_id, removed)
    assert (await plane.row(call_id)).end_reason is Reason.BOT_ENDED


async def test_hanging_up_in_a_transfer_is_no_transfer(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    started = TransferStarted(at=plane.clock(), destination="tel:+1")
    await plane.report(call_id, Source.AGENT, 2, started)
    plane.clock.advance(1)
    await departures(plane).left("default", "call-1", PHONE, "CLIENT_INITIATED")
    over = AgentEnded(at=plane.clock.advance(1), reason=Reason.TRANSFERRED)
    await plane.report(call_id, Source.AGENT, 3, over)
    result = await plane.result(call_id)
    assert result is not None
    assert (result["disconnected_by"], result["was_transferred"]) == ("customer", False)


async def test_phone_that_is_being_dialled_is_told_of_by_who_dials_it(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan(channel=Channel.DIALOUT, media="tracks", caller_identity=PHONE)
    await departures(plane).left("default", plan.room_name, PHONE, "USER_REJECTED")
    assert not (await plane.row(plan.call_id)).leg_ended
    await plane.calls.note("default", plan.call_id, LegAnswered(at=plane.clock()))
    await departures(plane).left("default", plan.room_name, PHONE, "CLIENT_INITIATED")
    assert (await plane.row(plan.call_id)).end_reason is Reason.CALLER_HUNG_UP


async def test_caller_that_gives_up_before_the_answer_hung_up(plane: ControlPlane) -> None:
    await plane.ready()
    plan = await plane.plan(
        channel=Channel.SIP, media="tracks", room_name="call-1", caller_identity=PHONE
    )
    await departures(plane).left("default", "call-1", PHONE, "CLIENT_INITIATED")
    row = await plane.row(plan.call_id)
    # No agent had claimed it, so nobody else can tell more.
    assert (row.state, row.end_reason) == (CallState.ENDED, Reason.CALLER_HUNG_UP)


async def test_caller_that_gives_up_while_the_call_is_planned_leaves_no_slot(
    plane: ControlPlane,
) -> None:
    await plane.ready()

    class Slow(OwnBots):
        async def fetch(self, query: ConfigQuery) -> BotConfig:
            await departures(plane).left("default", "call-1", PHONE, "CLIENT_INITIATED")
            return await super().fetch(query)

    asked = PlanRequest(
        channel=Channel.SIP,
        bot_id="desk",
        idempotency_key="k1",
        media="tracks",
        room_name="call-1",
        caller_identity=PHONE,
    )
    with pytest.raises(Denied) as denied:
        await plane.planner.plan("default", asked, configs=Slow(plane.database))
    assert denied.value.code is Code.CALL_ENDED
    assert await plane.live() == 0
    assert plane.rooms.dispatches == []


async def test_phone_of_a_call_that_a_person_took_over_closes_the_room(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    at = plane.clock()
    facts = (HandedOff(at=at), AgentEnded(at=at, reason=Reason.AGENT_DESK))
    await plane.report(call_id, Source.AGENT, 2, *facts)
    row = await plane.row(call_id)
    assert row.is_ended
    assert row.room_due_at is not None
    assert row.room_due_at > at
    left_at = plane.clock.advance(60)
    await departures(plane).left("default", "call-1", PHONE, "CLIENT_INITIATED")
    row = await plane.row(call_id)
    assert (row.leg_ended, row.room_due_at) == (True, left_at)


async def test_others_in_the_room_are_not_the_phone(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    for identity in ("supervisor", caller_identity(call_id), ""):
        await departures(plane).left("default", "call-1", identity, "CLIENT_INITIATED")
    await departures(plane).left("default", "call-2", PHONE, "CLIENT_INITIATED")
    await departures(plane).left("other", "call-1", PHONE, "CLIENT_INITIATED")
    assert not (await plane.row(call_id)).leg_ended


async def test_bridges_tell_of_their_callers_themselves(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    row = await plane.row(call_id)
    reasons = ("CLIENT_INITIATED", "CONNECTION_TIMEOUT")
    for reason in reasons:
        await departures(plane).left("default", row.room_name, row.caller_identity, reason)
    assert not (await plane.row(call_id)).leg_ended


@pytest.mark.parametrize("reason", sorted(LOST))
async def test_agent_that_vanished_is_replaced_and_one_that_left_is_not(
    plane: ControlPlane, reason: str
) -> None:
    call_id = await talking(plane)
    agent = agent_identity(call_id, 1)
    await departures(plane).left("default", "call-1", agent, "CLIENT_INITIATED")
    assert (await plane.row(call_id)).incarnation == 1
    await departures(plane).left("default", "call-1", agent, reason)
    assert (await plane.row(call_id)).incarnation == 2


def test_every_word_that_has_a_meaning_is_one_of_livekits() -> None:
    words = set(DisconnectReason.DESCRIPTOR.values_by_name)
    assert set(REASONS) <= words
    assert words >= LOST
    # What nobody can tell is nobody's doing but ours.
    assert words - set(REASONS) - LOST == {
        "UNKNOWN_REASON", "DUPLICATE_IDENTITY", "JOIN_FAILURE", "MIGRATION", "AGENT_ERROR",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("CLIENT_INITIATED", Reason.CALLER_HUNG_UP),
        ("USER_REJECTED", Reason.DECLINED),
        ("USER_UNAVAILABLE", Reason.NO_ANSWER),
        ("SIP_TRUNK_FAILURE", Reason.CARRIER_UNREACHABLE),
        ("PARTICIPANT_REMOVED", Reason.BOT_ENDED),
        ("ROOM_DELETED", Reason.ROOM_LOST),
        ("CONNECTION_TIMEOUT", Reason.BRIDGE_LOST),
        ("A_NEW_ONE", Reason.ROOM_LOST),
    ],
)
def test_reasons(word: str, reason: Reason) -> None:
    assert reason_of(word) is reason


@pytest.mark.parametrize("reason", [*sorted(LOST), "DUPLICATE_IDENTITY", "JOIN_FAILURE"])
async def test_browser_that_may_come_back_is_missed_by_its_agent_alone(
    plane: ControlPlane, reason: str
) -> None:
    await plane.ready()
    plan = await plane.plan(channel=Channel.WEB, media="tracks")
    await departures(plane).left("default", plan.room_name, plan.caller_identity, reason)
    assert not (await plane.row(plan.call_id)).leg_ended


@pytest.mark.parametrize(
    ("reason", "ending"),
    [("CLIENT_INITIATED", Reason.CALLER_HUNG_UP), ("PARTICIPANT_REMOVED", Reason.BOT_ENDED)],
)
async def test_browser_that_leaves_ends_its_call(
    plane: ControlPlane, reason: str, ending: Reason
) -> None:
    await plane.ready()
    plan = await plane.plan(channel=Channel.WEB, media="tracks")
    await departures(plane).left("default", plan.room_name, plan.caller_identity, reason)
    assert (await plane.row(plan.call_id)).end_reason is ending


async def test_browser_that_says_goodbye_to_its_bot_may_be_joining_anew(
    plane: ControlPlane,
) -> None:
    await plane.ready()
    plan = await plane.plan(channel=Channel.WEB, media="tracks")
    await plane.claim(plan.call_id)
    await plane.report(plan.call_id, Source.AGENT, 1, ConversationStarted(at=plane.clock()))
    room, who = plan.room_name, plan.caller_identity
    await departures(plane).left("default", room, who, "CLIENT_INITIATED")
    assert (await plane.row(plan.call_id)).end_at is None
    # That it did not is its agent's to say.
    left = AgentEnded(at=plane.clock(), reason=Reason.CALLER_HUNG_UP)
    for _ in range(3):
        plane.clock.advance(1)
        await plane.watch.tick()
    await plane.report(plan.call_id, Source.AGENT, 2, left)
    plane.clock.advance(1.5)
    await plane.watch.tick()
    row = await plane.row(plan.call_id)
    assert (row.state, row.end_reason, row.end_at) == (
        CallState.ENDED, Reason.CALLER_HUNG_UP, left.at,
    )  # fmt: skip
