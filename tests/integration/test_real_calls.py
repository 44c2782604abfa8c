"""Real phones as tests drive them before a real LiveKit SIP; here a phone is in its place."""

from __future__ import annotations

import asyncio
from pathlib import Path

from livekit import api

from bridges.audio.waveform import loud_spans
from tests.fakes.livekit_sip import Answers, Callee, Line, RefersTo
from tests.fakes.livekit_sip.phone_script import callee_script, caller_script
from tests.fakes.livekit_sip.real_calls import Leg, Legs, real_sip
from tests.fakes.livekit_sip.sipp_phone import sipp_phone
from tests.fakes.livekit_sip.voice import Voice, voice
from tests.fakes.tone import tone
from tests.integration.livekit_server import LiveKitServer

NUMBER, DIALLED = "+15550177", "+911140000000"


async def test_caller_knows_its_room_and_what_it_was_answered(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    livekit = (livekit_server.url, livekit_server.key, livekit_server.secret)
    async with (
        asyncio.timeout(30),
        sipp_phone(callee_script(Callee(Answers(1.0))), tmp_path) as service,
        real_sip(livekit, service.port, tmp_path) as real,
    ):
        caller = real.call(NUMBER, DIALLED, {"X-Account": "7"})
        leg = Line(f"sip_{NUMBER}", "call-real")
        await leg.join(*livekit, {})
        await caller.joined.wait()
        assert caller.line is not None
        assert (caller.line.room_name, caller.line.identity) == ("call-real", f"sip_{NUMBER}")
        await caller.answered.wait()
        assert caller.statuses == [180, 200]
        assert not caller.over.is_set()
        await caller.line.hang_up()
        await caller.over.wait()
        assert caller.line.ended.is_set()
        assert caller.line.ended_by == "phone"
        await service.peer.succeeds()
        await leg.aclose()


async def test_leg_is_taken_for_one_call_alone(livekit_server: LiveKitServer) -> None:
    livekit = (livekit_server.url, livekit_server.key, livekit_server.secret)
    async with asyncio.timeout(30), api.LiveKitAPI(*livekit) as server:
        legs = Legs(server)
        first, second = Line(f"sip_{NUMBER}", "real-1"), Line(f"sip_{NUMBER}", "real-2")
        await first.join(*livekit, {})
        assert await legs.next(NUMBER) == Leg("real-1", f"sip_{NUMBER}", first.call_id)
        # The first one is still there.
        await second.join(*livekit, {})
        assert await legs.next(NUMBER) == Leg("real-2", f"sip_{NUMBER}", second.call_id)
        await first.aclose()
        await second.aclose()


async def test_caller_that_gives_up_is_over(livekit_server: LiveKitServer, tmp_path: Path) -> None:
    livekit = (livekit_server.url, livekit_server.key, livekit_server.secret)
    async with (
        asyncio.timeout(30),
        sipp_phone(callee_script(Callee(Answers(None))), tmp_path) as service,
        real_sip(livekit, service.port, tmp_path) as real,
    ):
        caller = real.call(NUMBER, DIALLED)
        while caller.statuses != [180]:  # noqa: ASYNC110 - a process's trace
            await asyncio.sleep(0.02)
        caller.cancel()
        await caller.over.wait()
        assert caller.statuses == [180, 487]
        assert not caller.answered.is_set()
        await service.peer.succeeds()


async def test_phone_waits_where_its_trunk_leads_to(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    livekit = (livekit_server.url, livekit_server.key, livekit_server.secret)
    async with asyncio.timeout(30), real_sip(livekit, 9, tmp_path) as real:
        callee = Callee(Answers(0.0), refers=RefersTo.BUSY)
        address, transport = await real.phone("caller-1", "dialout-1", callee)
        line = real.lines["caller-1"]
        assert (line.room_name, transport) == ("dialout-1", "udp")
        port = int(address.removeprefix("127.0.0.1:"))
        async with sipp_phone(caller_script(NUMBER, DIALLED, {}), tmp_path, to=port) as service:
            await service.says(200)
            await line.hang_up()
            await line.ended.wait()
            await service.over.wait()
            assert (line.ended_by, service.ended_by) == ("phone", "room")


async def test_voices_speak_when_they_are_told_and_hear_each_other(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(40),
        voice(tmp_path / "called", "+14155550101") as called,
        voice(tmp_path / "calling", "+14155550100") as calling,
    ):
        called.picks_up(Answers(0.3))
        await calling.phone.dial(called.phone.uri)
        await called.answered.wait()
        await calling.answered.wait()
        for _ in range(2):
            calling.say(tone(0.5))
            after_s = len(called.heard()) / 16_000
            while not _is_over(called, after_s):  # noqa: ASYNC110 - a growing file
                await asyncio.sleep(0.05)
        spans = loud_spans(called.heard())
        assert [round(span.end_s - span.start_s, 1) for span in spans] == [0.5, 0.5]
        assert not calling.ended.is_set()
        await called.hang_up()
        await calling.ended.wait()


def _is_over(hearer: Voice, after_s: float) -> bool:
    """Tell whether something was heard after a moment, and silence then."""
    heard = hearer.heard()
    spans = [span for span in loud_spans(heard) if span.end_s > after_s]
    return bool(spans) and len(heard) / 16_000 - spans[-1].end_s > 0.3
