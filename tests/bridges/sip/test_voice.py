"""A SIP call's media: audio both ways, hold however it is spelt, keys, and media that stay away."""

from __future__ import annotations

import asyncio

import pytest

from bridges.sip.ipc import DigitInfo, Reanswer, RefuseReoffer, Reoffered, SendDigit
from bridges.wire.sdp import Direction
from contracts.command import SendDigits
from contracts.media import Clear, Finished, Heard, Pause, Resume, Speech, SpeechEnd
from contracts.outcome import Reason
from contracts.report import DigitPressed, LegHeld, LegResumed
from tests.fakes.sip_call import LEG, Phone, SipCall, incoming, order, settled, sip_call
from tests.fakes.virtual_time import virtual_time

VOICE = b"\x10\x27" * 160
SECOND = VOICE * 50
OFFER = Phone().offer()


def _say(call: SipCall, pcm: bytes = SECOND, segment: int = 1) -> None:
    call.leg.accept(Speech(segment, pcm))
    call.leg.accept(SpeechEnd(segment))


async def _receive(call: SipCall, seconds: float) -> None:
    for _ in range(round(seconds / 0.5)):
        call.socket.receive(VOICE)
        await asyncio.sleep(0.5)


@virtual_time
async def test_bot_is_heard_frame_by_frame_in_real_time() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await call.answered()
        _say(call)
        await asyncio.sleep(0.51)
        assert call.socket.sent == [VOICE] * 26
        await asyncio.sleep(0.6)
        assert len(call.socket.sent) == 50
        assert call.facts(Finished) == [Finished(1, 8000, interrupted=False)]
        assert call.leg.stats()["frame_lateness_ms"]["frames"] == 50
        assert call.leg.stats()["codec"] == "PCMA"
        assert call.leg.stats()["srtp"] is False


@virtual_time
async def test_caller_is_heard_with_the_playback_position() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await call.answered()
        _say(call)
        await asyncio.sleep(0.1)
        call.socket.receive(VOICE)
        call.socket.receive(VOICE)
        (heard,) = [heard for heard in call.facts(Heard) if heard.pcm]
        assert (heard.segment, heard.pcm) == (1, VOICE * 2)
        assert 700 <= heard.played_samples <= 900


@virtual_time
async def test_bot_that_is_interrupted_falls_silent() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await call.answered()
        _say(call)
        await asyncio.sleep(0.1)
        call.leg.accept(Clear(1))
        sent = len(call.socket.sent)
        await asyncio.sleep(0.5)
        assert len(call.socket.sent) == sent
        assert [finished.interrupted for finished in call.facts(Finished)] == [True]


HOLDS = [
    (OFFER.replace("a=sendrecv", "a=sendonly"), Direction.RECVONLY),
    (OFFER.replace("a=sendrecv", "a=inactive"), Direction.INACTIVE),
    (OFFER.replace("IN IP4 127.0.0.1", "IN IP4 0.0.0.0"), Direction.RECVONLY),
]


@pytest.mark.parametrize(("offer", "direction"), HOLDS)
@virtual_time
async def test_hold_stops_the_bots_voice_and_resuming_lets_it_go_on(
    offer: str, direction: Direction
) -> None:
    async with sip_call(incoming(OFFER)) as call:
        await call.answered()
        _say(call)
        await asyncio.sleep(0.1)
        await call.news(Reoffered(leg=LEG, sdp=offer))
        sent = len(call.socket.sent)
        assert f"a={direction.value}" in call.orders_of(Reanswer)[-1].sdp
        assert len(call.facts(LegHeld)) == 1

        call.socket.receive(VOICE)  # music
        await asyncio.sleep(5)
        assert len(call.socket.sent) == sent
        assert not any(heard.pcm for heard in call.facts(Heard))

        await call.news(Reoffered(leg=LEG, sdp=OFFER))
        assert "a=sendrecv" in call.orders_of(Reanswer)[-1].sdp
        assert len(call.facts(LegResumed)) == 1
        await asyncio.sleep(2)
        assert len(call.socket.sent) == 50
        assert call.leg.stats()["frame_lateness_ms"]["p99"] <= 1.0
        assert call.leg.stats()["holds"] == 1


@virtual_time
async def test_agents_own_pause_outlasts_a_hold() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await call.answered()
        _say(call)
        call.leg.accept(Pause())
        await call.news(Reoffered(leg=LEG, sdp=HOLDS[0][0]))
        await call.news(Reoffered(leg=LEG, sdp=OFFER))
        await asyncio.sleep(1)
        assert len(call.socket.sent) <= 1
        call.leg.accept(Resume())
        await asyncio.sleep(1.1)
        assert len(call.socket.sent) == 50


@virtual_time
async def test_what_the_bot_says_in_a_hold_waits_for_its_end() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await call.answered()
        await call.news(Reoffered(leg=LEG, sdp=HOLDS[0][0]))
        call.leg.accept(Clear(1))
        _say(call, segment=2)
        call.leg.accept(Resume())
        await asyncio.sleep(1)
        assert call.socket.sent == []
        await call.news(Reoffered(leg=LEG, sdp=OFFER))
        await asyncio.sleep(1.1)
        assert len(call.socket.sent) == 50


@virtual_time
async def test_call_that_comes_in_held_is_told_so() -> None:
    async with sip_call(incoming(HOLDS[0][0])) as call:
        await call.answered()
        assert len(call.facts(LegHeld)) == 1


@virtual_time
async def test_storm_of_holds_is_answered_each_time_and_told_as_what_it_comes_to() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await call.answered()
        for _ in range(100):
            await call.news(Reoffered(leg=LEG, sdp=HOLDS[0][0]), Reoffered(leg=LEG, sdp=OFFER))
        assert len(call.orders_of(Reanswer)) == 200
        await asyncio.sleep(1.1)
        assert len(call.facts(LegHeld)) <= 2
        assert len(call.facts(LegResumed)) == len(call.facts(LegHeld))
        _say(call)
        await asyncio.sleep(1.1)
        assert len(call.socket.sent) == 50


@virtual_time
async def test_reoffer_without_a_change_is_answered_and_told_nobody() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await call.answered()
        told = len(call.told)
        await call.news(Reoffered(leg=LEG, sdp=OFFER))
        assert len(call.orders_of(Reanswer)) == 1
        assert len(call.told) == told


@pytest.mark.parametrize("offer", ["nonsense", OFFER.replace(" 8 0 101", " 18 101")])
@virtual_time
async def test_reoffer_that_cannot_be_served_changes_nothing(offer: str) -> None:
    async with sip_call(incoming(OFFER)) as call:
        await call.answered()
        plans = list(call.socket.plans)
        await call.news(Reoffered(leg=LEG, sdp=offer))
        assert call.orders[-1] == RefuseReoffer(leg=LEG, status_code=488)
        assert call.socket.plans == plans
        _say(call)
        await asyncio.sleep(1.1)
        assert len(call.socket.sent) == 50


@pytest.mark.parametrize("call_to_carry", [incoming(OFFER), order()])
@virtual_time
async def test_answered_call_without_media_ends(call_to_carry: object) -> None:
    async with sip_call(call_to_carry, no_media_s=10) as call:  # type: ignore[arg-type]
        await asyncio.sleep(4)
        await call.answered()
        await asyncio.sleep(9.5)
        assert not call.run.done()
        assert (await call.ending(1.1)).reason is Reason.NO_MEDIA


@virtual_time
async def test_media_that_stay_away_end_the_call() -> None:
    async with sip_call(incoming(OFFER), media_timeout_s=30) as call:
        await call.answered()
        await _receive(call, 60)
        await asyncio.sleep(29)
        assert not call.run.done()
        assert (await call.ending(2)).reason is Reason.MEDIA_TIMEOUT


@virtual_time
async def test_nobody_misses_media_in_a_hold() -> None:
    async with sip_call(incoming(OFFER), media_timeout_s=30) as call:
        await call.answered()
        await _receive(call, 20)
        await call.news(Reoffered(leg=LEG, sdp=HOLDS[1][0]))
        await asyncio.sleep(3600)
        assert not call.run.done()
        await call.news(Reoffered(leg=LEG, sdp=OFFER))
        await asyncio.sleep(29)
        assert not call.run.done()
        assert (await call.ending(2)).reason is Reason.MEDIA_TIMEOUT


@virtual_time
async def test_nobody_misses_media_of_one_who_only_listens() -> None:
    async with sip_call(incoming(OFFER.replace("a=sendrecv", "a=recvonly"))) as call:
        await call.answered()
        assert call.facts(LegHeld) == []
        await asyncio.sleep(120)
        assert not call.run.done()


@virtual_time
async def test_key_that_arrives_both_ways_is_pressed_once() -> None:
    async with sip_call(incoming(OFFER)) as call:
        call.socket.press("9")  # nobody is there yet
        await call.answered()
        for _ in range(2):
            call.socket.press("5")
            await call.news(DigitInfo(leg=LEG, digit="5", duration_ms=160))
        await call.news(DigitInfo(leg=LEG, digit="#", duration_ms=90))
        await call.news(DigitInfo(leg=LEG, digit="", duration_ms=90))
        await call.news(DigitInfo(leg=LEG, digit="flash", duration_ms=90))
        pressed = call.facts(DigitPressed)
        assert [(press.digit, press.duration_ms) for press in pressed] == [
            ("5", 160),
            ("5", 160),
            ("#", 90),
        ]
        stats = call.leg.stats()
        assert (stats["digits"], stats["ignored_digits"]) == (3, 2)


@virtual_time
async def test_bot_presses_keys_as_media_while_its_speech_waits() -> None:
    async with sip_call(incoming(OFFER)) as call:
        call.leg.accept(SendDigits(digits="9"))
        await call.answered()
        call.leg.accept(SendDigits(digits="12"))
        _say(call)
        await asyncio.sleep(0.4)
        assert call.socket.digits == ["12"]
        assert call.socket.sent == []
        await asyncio.sleep(1.2)
        assert len(call.socket.sent) == 50


@virtual_time
async def test_bot_presses_keys_by_info_where_media_carry_none() -> None:
    async with sip_call(incoming(Phone(dtmf=False).offer())) as call:
        await call.answered()
        call.leg.accept(SendDigits(digits="1,2"))
        await settled()
        assert call.socket.digits == []
        assert call.orders_of(SendDigit) == [SendDigit(leg=LEG, digit="1")]
        await asyncio.sleep(0.7)
        assert len(call.orders_of(SendDigit)) == 1
        await asyncio.sleep(0.1)
        assert [press.digit for press in call.orders_of(SendDigit)] == ["1", "2"]
