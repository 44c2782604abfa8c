"""What Exotel's flows ask beside the stream, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.report import AgentEnded, LegEnded, Source, TransferSent, TransferStarted
from sidecar.configure import OwnBots
from sidecar.denial import Code, Denied
from sidecar.exotel import HUNG_UP, Exotel, Ringing, Visitor
from sidecar.exotel_passthru import StreamReport
from sidecar.exotel_url import Place
from sidecar.store import cdrs
from tests.fakes.control_plane import ControlPlane

DESK = Visitor("desk", "", "192.0.2.1")
HERE = Place("wss://here.example")
BY_BOT = {"CallSid": "c1", "Stream[StreamSID]": "s1", "Stream[Status]": "completed"}
OWN_CALL = {"call_sid": "c2", "account_sid": "acme1"}
BY_CALLER = {**BY_BOT, "Stream[DisconnectedBy]": "user", "Stream[Status]": "cancelled"}


def door(plane: ControlPlane, *, told_within_s: float = 5.0) -> Exotel:
    return Exotel(
        plane.database,
        OwnBots(plane.database),
        plane.folder,
        plane.settings,
        clock=plane.clock,
        bells=plane.bells,
        chance=lambda: 0.0,
        told_within_s=told_within_s,
    )


async def url(plane: ControlPlane, visitor: Visitor = DESK, **custom: str) -> str:
    return await door(plane).url(visitor, Ringing("c1", "+911", "+912"), custom, lambda: HERE)


async def passthru(plane: ControlPlane, told: dict[str, Any] = BY_BOT, **options: Any) -> bool:
    return await door(plane, **options).passthru(DESK, StreamReport.parse(told.items()))


async def talking(plane: ControlPlane, **call: Any) -> str:
    await plane.ready()
    given: dict[str, Any] = {
        "channel": Channel.EXOTEL,
        "stream_id": "s1",
        "connected_event": {"call_sid": "c1", "account_sid": "acme1"},
        **call,
    }
    return await plane.talking(**given)


async def hand_over(plane: ControlPlane, call_id: str, to: str = "+91 44 1234 5678") -> None:
    """Let the agent say that it hands its caller over."""
    plane.clock.advance(1)
    started = TransferStarted(
        at=plane.clock(), destination=to, target="Desk", reason="asked", method="exotel_passthru"
    )
    await plane.report(call_id, Source.AGENT, 3, started)


async def go_over(plane: ControlPlane, call_id: str, leg: Reason = Reason.TRANSFERRED) -> None:
    """Let bridge and agent say that it is done."""
    at = plane.clock.advance(1)
    await plane.report(call_id, Source.BRIDGE, 2, TransferSent(at=at), LegEnded(at=at, reason=leg))
    await plane.report(call_id, Source.AGENT, 4, AgentEnded(at=at, reason=Reason.TRANSFERRED))


async def refused(asking: Any) -> Code:
    with pytest.raises(Denied) as caught:
        await asking
    return caught.value.code


# The dynamic URL


async def test_stream_goes_to_the_bot_it_was_asked_for(plane: ControlPlane) -> None:
    await plane.ready()
    assert await url(plane, campaign="spring") == "wss://here.example/exotel/desk?campaign=spring"


async def test_stream_of_a_bot_with_a_token_carries_a_ticket_and_not_the_token(
    plane: ControlPlane,
) -> None:
    await plane.ready(stream_token="hunter2", exotel_sample_rate=16000)
    found = await url(plane, Visitor("desk", "hunter2", ""))
    query = parse_qs(urlsplit(found).query)
    assert query["sample-rate"] == ["16000"]
    (ticket,) = query["token"]
    assert "hunter2" not in found
    plan = await plane.plan(channel=Channel.EXOTEL, presented_token=ticket)
    assert plan.room_name.startswith("exotel-")
    plane.clock.advance(61)
    await plane.beat()
    again = plane.plan("k2", channel=Channel.EXOTEL, presented_token=ticket)
    assert await refused(again) is Code.UNAUTHORISED


@pytest.mark.parametrize("token", ["", "guess"])
async def test_url_is_told_to_nobody_without_the_token(plane: ControlPlane, token: str) -> None:
    await plane.ready(stream_token="hunter2")
    asking = url(plane, Visitor("desk", token, ""))
    assert await refused(asking) is Code.UNAUTHORISED


async def test_url_is_told_to_nobody_from_elsewhere(plane: ControlPlane) -> None:
    await plane.ready(stream_allowed_ips=["198.51.100.0/24"])
    assert await refused(url(plane)) is Code.UNAUTHORISED
    assert await url(plane, Visitor("desk", "", "198.51.100.7"))


@pytest.mark.parametrize("bot_id", ["sales", "", ".", "..", "../desk", "x" * 129, "desk\0"])
async def test_bot_that_is_not_there_is_unknown(plane: ControlPlane, bot_id: str) -> None:
    await plane.ready()
    assert await refused(url(plane, Visitor(bot_id, "", ""))) is Code.BOT_UNKNOWN


async def test_bot_that_is_closed_takes_no_stream(plane: ControlPlane) -> None:
    await plane.ready(active_hours={"enabled": True, "days": []})
    assert await refused(url(plane)) is Code.OUTSIDE_HOURS


async def test_full_house_takes_no_stream(plane: ControlPlane) -> None:
    await plane.add_bot()
    assert await refused(url(plane)) is Code.NO_AGENT
    await plane.beat(max_calls=1)
    assert await url(plane)
    await plane.plan()
    assert await refused(url(plane)) is Code.AT_CAPACITY
    assert await plane.live() == 1


async def test_stream_goes_to_the_bridge_with_most_slots(plane: ControlPlane) -> None:
    plane.settings.stream_public_url = ["box1=wss://a.example", "box2=wss://b.example"]
    await plane.ready()
    for host, calls in (("box1", ["x", "y"]), ("box2", ["z"])):
        await plane.beat("bridge", id=host, host=host, max_calls=4, calls=calls)
    assert (await url(plane)).startswith("wss://b.example/")
    await plane.beat("bridge", id="box2", host="box2", max_calls=4, ready=False)
    assert (await url(plane)).startswith("wss://a.example/")
    # The SIP bridge beside it carries no stream.
    await plane.beat("bridge", id="sip", host="box2", max_calls=90, door="sip")
    assert (await url(plane)).startswith("wss://a.example/")


# Passthru


async def test_record_of_a_stream_is_kept_with_its_call(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await plane.end(call_id)
    recording = {"Stream[RecordingUrl]": "https://rec.example/1.mp3", "Stream[Duration]": "28"}
    for _ in range(2):
        assert not await passthru(plane, {**BY_BOT, **recording})
    async with plane.database.read() as connection:
        row = await cdrs.of_stream(connection, "default", "s1", call_id)
    assert row is not None
    assert row.call_id == call_id
    assert row.body == {
        "bot_id": "desk",
        "CallSid": "c1",
        "StreamSID": "s1",
        "Status": "completed",
        "Duration": "28",
        "RecordingUrl": "https://rec.example/1.mp3",
        "call_status": "completed",
        "talktime": 28,
        "recording_filename": "https://rec.example/1.mp3",
    }


async def test_stream_that_never_began_leaves_a_record(plane: ControlPlane) -> None:
    await plane.ready()
    told = {"CallSid": "c7", "Stream[Status]": "failed", "Stream[Error]": "3009 refused"}
    assert not await passthru(plane, told)
    async with plane.database.read() as connection:
        row = await cdrs.of_stream(connection, "default", "call c7", None)
    assert row is not None
    assert (row.call_id, row.body["Error"], row.body["bot_id"]) == (None, "3009 refused", "desk")


@pytest.mark.parametrize(
    "told", [{}, {"CallSid": "../c1"}, {**BY_BOT, "EventType": "stream-start"}]
)
async def test_what_tells_of_no_ended_stream_leaves_nothing(
    plane: ControlPlane, told: dict[str, str]
) -> None:
    call_id = await talking(plane)
    assert not await passthru(plane, told)
    async with plane.database.read() as connection:
        assert not await cdrs.is_told(connection, "default", call_id)


async def test_bot_hears_of_its_own_calls_alone(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await hand_over(plane, call_id)
    await plane.add_bot(bot_id="sales")
    sales = Visitor("sales", "", "")
    assert not await door(plane).passthru(sales, StreamReport.parse(BY_CALLER.items()))
    assert await refused(door(plane).number(sales, "c1")) is Code.NUMBER_UNKNOWN
    assert await passthru(plane)


async def test_bot_tells_of_its_own_calls_alone(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await plane.end(call_id)
    assert not await passthru(plane)
    await plane.add_bot(bot_id="sales")
    await plane.plan("k2", bot_id="sales", channel=Channel.EXOTEL, connected_event=OWN_CALL)
    sales = Visitor("sales", "", "")
    for named in (BY_CALLER, {**BY_CALLER, "CallSid": OWN_CALL["call_sid"]}):
        assert not await door(plane).passthru(sales, StreamReport.parse(named.items()))
    async with plane.database.read() as connection:
        row = await cdrs.of_stream(connection, "default", "s1", call_id)
    assert row is not None
    assert (row.call_id, row.body["bot_id"]) == (call_id, "desk")
    assert row.body["call_status"] == "completed"


async def test_flow_is_told_nothing_without_the_token(plane: ControlPlane) -> None:
    await talking(plane)
    await plane.add_bot(stream_token="hunter2")
    assert await refused(passthru(plane)) is Code.UNAUTHORISED
    assert await refused(door(plane).number(DESK, "c1")) is Code.UNAUTHORISED


async def test_caller_who_is_handed_over_is_to_be_connected(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await hand_over(plane, call_id)
    assert await passthru(plane)
    assert await door(plane).number(DESK, "c1") == "+914412345678"
    await go_over(plane, call_id)
    assert await passthru(plane)
    result = await plane.result(call_id)
    assert result is not None
    assert {key: value for key, value in result.items() if "transfer" in key} == {
        "was_transferred": True,
        "transfer_destination": "+91 44 1234 5678",
        "transfer_target": "Desk",
        "transfer_reason": "asked",
        "transfer_method": "exotel_passthru",
        "transfer_at": 1.0,
        "transfer_failed_reason": None,
    }
    assert result["disconnected_by"] == "bot"


async def test_agents_word_is_waited_for(plane: ControlPlane) -> None:
    """The flow is faster than the agent's report."""
    call_id = await talking(plane)
    asked = asyncio.create_task(passthru(plane))
    await asyncio.wait({asked}, timeout=0.05)
    assert not asked.done()
    await hand_over(plane, call_id)
    assert await asked


async def test_agent_that_has_left_without_a_word_has_handed_nobody_over(
    plane: ControlPlane,
) -> None:
    call_id = await talking(plane)
    ended = AgentEnded(at=plane.clock(), reason=Reason.BOT_ENDED)
    await plane.report(call_id, Source.AGENT, 3, ended)
    assert not await passthru(plane)


async def test_agent_that_says_nothing_is_not_waited_for_longer(plane: ControlPlane) -> None:
    await talking(plane)
    assert not await passthru(plane, told_within_s=0.05)


@pytest.mark.parametrize("error", [{}, {"Stream[Error]": "1006 closed"}])
async def test_error_of_the_stream_does_not_keep_a_caller_from_a_human(
    plane: ControlPlane, error: dict[str, str]
) -> None:
    call_id = await talking(plane)
    await hand_over(plane, call_id)
    assert await passthru(plane, {**BY_BOT, **error})


async def test_caller_who_hung_up_meanwhile_is_connected_to_nobody(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await hand_over(plane, call_id)
    assert not await passthru(plane, BY_CALLER)
    await go_over(plane, call_id)
    result = await plane.result(call_id)
    assert result is not None
    assert (result["was_transferred"], result["transfer_failed_reason"]) == (False, HUNG_UP)
    assert (result["revision"], result["transfer_method"]) == (0, "exotel_passthru")
    assert not await passthru(plane)


async def test_bridges_own_word_of_the_end_is_heard_after_passthrus(plane: ControlPlane) -> None:
    """Passthru is faster than the bridge, which numbers what it tells by itself."""
    call_id = await talking(plane)
    await hand_over(plane, call_id)
    assert not await passthru(plane, BY_CALLER)
    assert (await plane.row(call_id)).state == "talking"
    at = plane.clock.advance(1)
    hung_up = LegEnded(at=at, reason=Reason.CALLER_HUNG_UP)
    receipt = await plane.report(call_id, Source.BRIDGE, 2, hung_up)
    assert receipt.applied_seq == 2
    at = plane.clock.advance(1)
    await plane.report(call_id, Source.AGENT, 4, AgentEnded(at=at, reason=Reason.TRANSFERRED))
    result = await plane.result(call_id)
    assert result is not None
    assert (result["disconnected_by"], result["was_transferred"]) == ("customer", False)
    assert result["transfer_failed_reason"] == HUNG_UP


async def test_agents_clock_that_is_ahead_makes_no_transfer_of_it(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    ahead = plane.clock() + timedelta(seconds=30)
    started = TransferStarted(at=ahead, destination="+911", method="exotel_passthru")
    await plane.report(call_id, Source.AGENT, 3, started)
    assert not await passthru(plane, BY_CALLER)
    assert await refused(door(plane).number(DESK, "c1")) is Code.NUMBER_UNKNOWN


async def test_result_that_is_out_is_amended_once(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await hand_over(plane, call_id)
    await go_over(plane, call_id)
    first = await plane.result(call_id)
    assert first is not None
    assert first["was_transferred"]
    plane.clock.advance(1)
    for _ in range(2):
        assert not await passthru(plane, BY_CALLER)
    result = await plane.result(call_id)
    assert result is not None
    assert (result["revision"], result["was_transferred"]) == (1, False)
    assert result["transfer_failed_reason"] == HUNG_UP
    assert await refused(door(plane).number(DESK, "c1")) is Code.NUMBER_UNKNOWN


async def test_caller_who_hung_up_under_the_bridges_eyes_was_not_transferred(
    plane: ControlPlane,
) -> None:
    call_id = await talking(plane)
    await hand_over(plane, call_id)
    await go_over(plane, call_id, Reason.CALLER_HUNG_UP)
    result = await plane.result(call_id)
    assert result is not None
    assert not result["was_transferred"]
    assert not await passthru(plane)


async def test_call_of_yesterday_is_nobodys(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await hand_over(plane, call_id)
    plane.clock.at += timedelta(hours=7)
    assert not await passthru(plane)


async def test_nobody_is_connected_to_what_is_no_number(plane: ControlPlane) -> None:
    call_id = await talking(plane)
    await hand_over(plane, call_id, to="sip:desk@pbx.example")
    assert await refused(door(plane).number(DESK, "c1")) is Code.NUMBER_UNKNOWN
    assert await refused(door(plane).number(DESK, "")) is Code.NUMBER_UNKNOWN
