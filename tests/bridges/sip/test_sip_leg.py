"""A SIP call's signalling as a leg: set-up both ways, transfers, and every ending."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from bridges.ending import Ending
from bridges.leg import AgentReady, Offered
from bridges.sip.ipc import (
    Accepted,
    Acked,
    Answer,
    Bye,
    Dial,
    Over,
    Reanswer,
    Refuse,
    Reoffered,
    Rings,
)
from bridges.sip.port_pool import PortsExhausted
from contracts.command import HangUp
from contracts.media import Speech, SpeechEnd
from contracts.outcome import Reason
from contracts.report import (
    LegAnswered,
    LegDialled,
    LegRinging,
    LegStarted,
)
from tests.fakes.leg import AT
from tests.fakes.media_socket import MemorySocket
from tests.fakes.sip_call import LEG, Phone, incoming, order, sip_call
from tests.fakes.virtual_time import virtual_time

OFFER = Phone().offer()
VIDEO_ONLY = OFFER.replace("m=audio", "m=video")
NO_CODEC = OFFER.replace(" 8 0 101", " 18 101")


@virtual_time
async def test_call_that_comes_in_is_offered_with_its_headers_and_rings() -> None:
    async with sip_call(incoming(OFFER, headers={"x-customer-id": "7"})) as call:
        offered, started, ringing = call.told
        assert isinstance(offered, Offered)
        assert (offered.caller_id, offered.did) == ("+919876543210", "+911140000000")
        assert (offered.direction, offered.stream_id) == ("incoming", "abc@phone")
        assert offered.connected_event["sip_header_x_customer_id"] == "7"
        assert not offered.answers_at_once
        assert started == LegStarted(at=AT, stream_id="abc@phone")
        assert ringing == LegRinging(at=AT)
        assert call.orders == []


@virtual_time
async def test_call_is_answered_once_its_agent_is_there() -> None:
    async with sip_call(incoming(OFFER)) as call:
        call.leg.accept(AgentReady())
        (answer,) = call.orders
        assert isinstance(answer, Answer)
        assert "c=IN IP4 192.0.2.1" in answer.sdp
        assert "m=audio 41000 RTP/AVP" in answer.sdp
        assert call.facts(LegAnswered) == []

        await call.news(Acked(leg=LEG))
        assert call.facts(LegAnswered) == [LegAnswered(at=AT)]
        assert call.socket.is_started
        assert call.socket.signalled_from == "127.0.0.9"
        call.leg.accept(AgentReady())  # another agent
        assert len(call.orders) == 1


@virtual_time
async def test_late_agent_is_no_reason_to_let_it_ring() -> None:
    async with sip_call(incoming(OFFER), answer_within_s=5) as call:
        await asyncio.sleep(4.9)
        assert call.orders == []
        await asyncio.sleep(0.2)
        assert len(call.orders_of(Answer)) == 1
        call.leg.accept(AgentReady())
        assert len(call.orders) == 1


@virtual_time
async def test_media_after_our_answer_count_as_its_acknowledgement() -> None:
    async with sip_call(incoming(OFFER)) as call:
        call.leg.accept(AgentReady())
        call.socket.receive()
        assert len(call.facts(LegAnswered)) == 1
        await call.news(Acked(leg=LEG))
        assert len(call.facts(LegAnswered)) == 1


@virtual_time
async def test_media_before_our_answer_answer_nothing() -> None:
    async with sip_call(incoming(OFFER)) as call:
        call.socket.receive()
        assert call.facts(LegAnswered) == []


@virtual_time
async def test_caller_without_an_offer_gets_ours() -> None:
    async with sip_call(incoming(None)) as call:
        call.leg.accept(AgentReady())
        (answer,) = call.orders_of(Answer)
        call.socket.receive()  # nothing is agreed yet, so this is nobody's
        assert call.facts(LegAnswered) == []
        await call.news(Acked(leg=LEG, sdp=call.phone.answer(answer.sdp)))
        assert len(call.facts(LegAnswered)) == 1
        assert call.socket.plans[-1].remote == ("127.0.0.1", 4000)


@pytest.mark.parametrize("answer", [NO_CODEC, "nonsense"])
@virtual_time
async def test_callers_unusable_answer_ends_the_call(answer: str) -> None:
    async with sip_call(incoming(None)) as call:
        call.leg.accept(AgentReady())
        await call.news(Acked(leg=LEG, sdp=answer))
        assert (await call.ending()).reason is Reason.PROTOCOL_BROKEN
        assert call.orders[-1] == Bye(leg=LEG)


@pytest.mark.parametrize("offer", [VIDEO_ONLY, NO_CODEC, "nonsense"])
@virtual_time
async def test_call_without_media_in_common_is_refused_and_never_planned(offer: str) -> None:
    async with sip_call(incoming(offer)) as call:
        ending = await call.ending()
        assert (ending.reason, ending.sip_status_code) == (Reason.PROTOCOL_BROKEN, 488)
        assert call.orders == [Refuse(leg=LEG, status_code=488)]
        assert call.told == []


@pytest.mark.parametrize("error", [PortsExhausted(), OSError("in use")])
@virtual_time
async def test_call_without_a_port_is_refused(error: Exception) -> None:
    socket = MemorySocket()
    socket.fails_with = error
    async with sip_call(incoming(OFFER), socket) as call:
        assert (await call.ending()).reason is Reason.AT_CAPACITY
        assert call.orders == [Refuse(leg=LEG, status_code=486)]


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.AT_CAPACITY, 486),
        (Reason.NO_AGENT, 486),
        (Reason.BOT_UNKNOWN, 404),
        (Reason.OUTSIDE_HOURS, 480),
        (Reason.UNAUTHORISED, 403),
        (Reason.BOT_ENDED, 603),
        (Reason.CONFIG_UNAVAILABLE, 503),
        (Reason.BRIDGE_LOST, 503),
    ],
)
@virtual_time
async def test_call_that_is_not_taken_is_refused_in_sips_words(reason: Reason, status: int) -> None:
    async with sip_call(incoming(OFFER)) as call:
        ending = Ending(reason, AT)
        assert call.leg.judge(ending) is ending
        await call.leg.hang_up(ending)
        assert call.orders == [Refuse(leg=LEG, status_code=status)]


@virtual_time
async def test_bot_may_decline_a_call_that_rings() -> None:
    async with sip_call(incoming(OFFER)) as call:
        call.leg.accept(HangUp(message="no"))
        assert (await call.ending()).reason is Reason.BOT_ENDED
        assert call.orders == [Refuse(leg=LEG, status_code=603)]


@virtual_time
async def test_caller_who_gives_up_is_told_nothing() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await call.news(Over(leg=LEG, how="cancelled"))
        assert (await call.ending()).reason is Reason.CALLER_HUNG_UP
        assert call.orders == []


How = Literal[
    "bye", "cancelled", "refused", "failed", "unanswered", "unreachable", "unacknowledged",
    "expired", "lost",
]  # fmt: skip


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("bye", Reason.CALLER_HUNG_UP),
        ("expired", Reason.CALLER_DISCONNECTED),
        ("unacknowledged", Reason.HANDSHAKE_TIMEOUT),
        ("lost", Reason.BRIDGE_LOST),
    ],
)
@pytest.mark.parametrize("is_dial", [False, True])
@virtual_time
async def test_far_ends_end_of_an_answered_call(how: How, reason: Reason, is_dial: bool) -> None:
    async with sip_call(order() if is_dial else incoming(OFFER)) as call:
        await call.answered()
        call.socket.receive(b"\x01\x00" * 160)
        await call.news(Over(leg=LEG, how=how))
        ending = await call.ending()
        assert ending.reason is reason
        assert call.orders[-1].type in {"answer", "dial"}
        assert b"\x01\x00" * 160 in call.told[-1].pcm  # type: ignore[union-attr]


@virtual_time
async def test_bots_end_hangs_up() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await call.answered()
        call.leg.accept(HangUp(message="Goodbye"))
        ending = await call.ending()
        assert (ending.reason, ending.detail) == (Reason.BOT_ENDED, "Goodbye")
        assert call.orders[-1] == Bye(leg=LEG)


@virtual_time
async def test_call_goes_out_once_its_agent_is_there_and_speaks_once_it_is_answered() -> None:
    async with sip_call(order(headers={"X-Tag": "1"}, ringing_timeout_s=30)) as call:
        (offered,) = call.told
        assert isinstance(offered, Offered)
        assert offered.direction == "outgoing"
        assert call.orders == []
        call.leg.accept(AgentReady())
        (dial,) = call.orders
        assert isinstance(dial, Dial)
        assert (dial.to_number, dial.from_number) == ("+919876543210", "+911140000000")
        assert (dial.ringing_timeout_s, dial.headers) == (30, {"X-Tag": "1"})

        call.leg.accept(Speech(1, b"\x02\x00" * 160))
        call.leg.accept(SpeechEnd(1))
        await call.news(Rings(leg=LEG), Rings(leg=LEG, sdp=call.phone.answer(dial.sdp)))
        call.socket.receive()
        assert call.socket.sent == []
        assert [type(event) for event in call.told] == [Offered, LegDialled, LegRinging]

        await call.news(Accepted(leg=LEG, sdp=call.phone.answer(dial.sdp)))
        assert len(call.facts(LegAnswered)) == 1
        assert call.socket.sent == [b"\x02\x00" * 160]


@pytest.mark.parametrize(
    ("over", "reason", "status"),
    [
        (Over(leg=LEG, how="failed", status_code=486), Reason.BUSY, 486),
        (Over(leg=LEG, how="failed", status_code=603), Reason.DECLINED, 603),
        (Over(leg=LEG, how="failed", status_code=480), Reason.NO_ANSWER, 480),
        (Over(leg=LEG, how="failed", status_code=408), Reason.NO_ANSWER, 408),
        (Over(leg=LEG, how="failed", status_code=487), Reason.NO_ANSWER, 487),
        (Over(leg=LEG, how="failed", status_code=404), Reason.CALLEE_UNKNOWN, 404),
        (Over(leg=LEG, how="failed", status_code=500), Reason.CARRIER_REFUSED, 500),
        (Over(leg=LEG, how="unanswered", rang=True), Reason.NO_ANSWER, None),
        (Over(leg=LEG, how="unanswered"), Reason.CARRIER_UNREACHABLE, None),
        (Over(leg=LEG, how="unreachable"), Reason.CARRIER_UNREACHABLE, None),
        (Over(leg=LEG, how="lost"), Reason.DIAL_ABORTED, None),
    ],
)
@virtual_time
async def test_phone_that_is_not_answered(over: Over, reason: Reason, status: int | None) -> None:
    async with sip_call(order()) as call:
        call.leg.accept(AgentReady())
        await call.news(over)
        ending = await call.ending()
        assert (ending.reason, ending.sip_status_code) == (reason, status)
        assert [dial.type for dial in call.orders] == ["dial"]


@virtual_time
async def test_bot_that_ends_while_it_rings_aborts_the_dial() -> None:
    async with sip_call(order()) as call:
        call.leg.accept(AgentReady())
        await call.news(Rings(leg=LEG))
        call.leg.accept(HangUp(message="never mind"))
        assert (await call.ending()).reason is Reason.DIAL_ABORTED
        assert call.orders[-1] == Bye(leg=LEG)


@virtual_time
async def test_room_lost_while_it_rings_aborts_the_dial() -> None:
    async with sip_call(order()) as call:
        lost = Ending(Reason.ROOM_LOST, AT, "gone")
        assert call.leg.judge(lost) is lost, "nobody was called yet"
        call.leg.accept(AgentReady())
        judged = call.leg.judge(lost)
        assert (judged.reason, judged.detail) == (Reason.DIAL_ABORTED, "room_lost: gone")
        await call.leg.hang_up(judged)
        assert call.orders[-1] == Bye(leg=LEG)


@virtual_time
async def test_phone_nobody_was_told_of_needs_no_hanging_up() -> None:
    async with sip_call(order()) as call:
        await call.leg.hang_up(Ending(Reason.NO_AGENT, AT))
        assert call.orders == []


@virtual_time
async def test_dial_without_a_port_is_reported_and_never_placed() -> None:
    socket = MemorySocket()
    socket.fails_with = PortsExhausted()
    async with sip_call(order(), socket) as call:
        assert (await call.ending()).reason is Reason.DIAL_ABORTED
        assert call.orders == []


@virtual_time
async def test_phone_that_answers_with_media_we_cannot_is_hung_up() -> None:
    async with sip_call(order()) as call:
        call.leg.accept(AgentReady())
        await call.news(Accepted(leg=LEG, sdp=NO_CODEC))
        assert (await call.ending()).reason is Reason.PROTOCOL_BROKEN
        assert call.facts(LegAnswered) == []
        assert call.orders[-1] == Bye(leg=LEG)


@virtual_time
async def test_room_lost_after_the_answer_is_what_it_is() -> None:
    async with sip_call(order()) as call:
        await call.answered()
        lost = Ending(Reason.ROOM_LOST, AT)
        assert call.leg.judge(lost) is lost


@virtual_time
async def test_far_ends_offer_is_asked_for_and_its_answer_taken() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await call.answered()
        await call.news(Reoffered(leg=LEG, sdp=None))
        (ours,) = call.orders_of(Reanswer)
        moved = Phone().answer(ours.sdp).replace("m=audio 4000", "m=audio 4002")
        await call.news(Acked(leg=LEG, sdp=moved))
        assert call.socket.plans[-1].remote == ("127.0.0.1", 4002)
        await call.news(Reoffered(leg=LEG, sdp=None), Acked(leg=LEG, sdp="nonsense"))
        assert call.socket.plans[-1].remote == ("127.0.0.1", 4002)
        assert not call.run.done()
        assert len(call.facts(LegAnswered)) == 1
