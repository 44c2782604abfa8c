"""A call over audio tracks, as LiveKit SIP brings one, against a real LiveKit server.

The phone is a participant of kind SIP; the agent is the whole job, from the room a rule made to its
last report. Only the sidecar is played.
"""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from agent.call import recording_path
from agent.track_audio import NO_MEDIA_S
from bridges.audio.waveform import loud_spans
from contracts.bot import BotConfig
from contracts.ids import SIP_JOB_METADATA, Channel, call_id_from, room_agent_identity
from contracts.outcome import Reason
from contracts.plan import AgentPlan
from contracts.report import DigitPressed, TranscriptLine
from tests.fakes.call_desk import CallDesk
from tests.fakes.room_job import RoomJob, running_job
from tests.fakes.track_phone import RATE_HZ, TrackPhone, sip_token
from tests.integration.bots import TALKER
from tests.integration.listening import hears, words_in
from tests.integration.livekit_server import LiveKitServer
from tests.integration.platform import ROOT
from voicefleet.caller_voice import speak

ROOM = "call-_+14155550123_kQx2vY9fTz1a"
CALLER = "sip_+14155550123"
RINGING = {
    "sip.callStatus": "ringing",
    "sip.phoneNumber": "+14155550123",
    "sip.trunkPhoneNumber": "+14155550100",
}
MENU = {
    **TALKER,
    "llm": {
        "provider": "rules",
        "rules": {
            **TALKER["llm"]["rules"],
            "intents": [
                *TALKER["llm"]["rules"]["intents"],
                {"name": "fax", "digits": ["1"], "say": "Our fax number is four one five."},
            ],
        },
    },
}


def plan() -> AgentPlan:
    call_id = call_id_from(bytes(range(16)))
    return AgentPlan(
        call_id=call_id,
        session_id=call_id,
        incarnation=1,
        channel=Channel.SIP,
        call_direction="incoming",
        caller_identity=CALLER,
        room_name=ROOM,
        media="tracks",
        config=BotConfig.model_validate(MENU),
    )


@asynccontextmanager
async def serving(
    server: LiveKitServer, desk: CallDesk, folder: Path, *, sends: bool = True
) -> AsyncIterator[tuple[TrackPhone, asyncio.Task[None]]]:
    job = RoomJob(server, SIP_JOB_METADATA, ROOM, room_agent_identity(ROOM))
    token = sip_token(server, ROOM, CALLER, RINGING)
    async with (
        TrackPhone.in_room(server.url, token, sends=sends) as phone,
        running_job(job, desk, folder) as task,
    ):
        yield phone, task


def voice(text: str) -> bytes:
    return speak(text, cache_path=ROOT / ".voicefleet" / "caller")


def said(desk: CallDesk, speaker: str) -> list[str]:
    lines = [fact for fact in desk.facts if isinstance(fact, TranscriptLine)]
    return [line.text for line in lines if line.speaker == speaker]


def channels(path: Path) -> tuple[bytes, bytes]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, RATE_HZ)
        both = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    return both[:, 0].tobytes(), both[:, 1].tobytes()


async def test_phone_of_livekit_sips_holds_a_conversation_over_tracks(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    question = voice("When are you open?")
    desk = CallDesk(plan())
    async with serving(livekit_server, desk, tmp_path) as (phone, task):
        # The phone rings until there is a track; nothing is said before the call is up.
        async with asyncio.timeout(15):
            await phone.subscribed.wait()
        (claim,) = desk.room_claims
        assert (claim.room_name, claim.caller_identity) == (ROOM, CALLER)
        assert claim.attributes["sip.trunkPhoneNumber"] == "+14155550100"
        await phone.say(voice("Is this thing on?"))
        await asyncio.sleep(0.5)
        assert phone.loudness(10) < 100
        await phone.answer()
        answered_s = phone.now_s()
        await phone.hear_out()
        greeting = bytes(phone.heard)
        asked_until_s = await phone.say(question)
        await phone.until(lambda: phone.loudness(0.1) > 500)
        await asyncio.sleep(1.5)
        cut_in_s = phone.now_s()
        await phone.say(voice("Stop. Please wait a moment."))
        await phone.hear_out()
        await phone.press("1")
        await phone.hear_out()
        heard, heard_from_s = bytes(phone.heard), phone.heard_from_s
        await phone.room.disconnect()
        async with asyncio.timeout(10):
            await task

    assert heard_from_s is not None
    spans = [(s.start_s + heard_from_s, s.end_s + heard_from_s) for s in loud_spans(heard)]
    assert 0 <= spans[0][0] - answered_s < 1.0
    waited_s = next(start_s for start_s, _ in spans if start_s > asked_until_s) - asked_until_s
    assert waited_s < 2.0

    # Words both ways, the greeting from its first one on.
    words = await words_in(greeting)
    assert words.split()[0].startswith("hell"), words
    assert hears("how can i help you", words)
    assert hears("we are open from nine", await words_in(heard))
    assert hears("when are you open", " ".join(said(desk, "customer")).lower())
    assert not hears("is this thing on", " ".join(said(desk, "customer")).lower())

    # The bot fell silent as the caller cut in, long before its line was over.
    silent_s = next(end_s for _, end_s in spans if end_s > cut_in_s)
    assert silent_s - cut_in_s < 1.0
    (hours,) = [line for line in said(desk, "bot") if line.startswith("We are open")]
    assert "Saturdays" not in hours

    # The key reached the bot, and is told of once.
    assert [fact.digit for fact in desk.facts if isinstance(fact, DigitPressed)] == ["1"]
    assert "fax number" in said(desk, "bot")[-1]
    assert desk.ended().reason is Reason.CALLER_HUNG_UP

    # Both channels of the recording have one clock: the caller's wait is as long as it was.
    left, right = channels(recording_path(tmp_path, plan().call_id, 1))
    assert hears("when are you open", await words_in(left))
    assert hears("how can i help you", await words_in(right))
    assert not hears("is this thing on", await words_in(left))
    question_end_s = loud_spans(left)[0].end_s
    recorded_s = next(s.start_s for s in loud_spans(right) if s.start_s > question_end_s)
    assert abs((recorded_s - question_end_s) - waited_s) < 0.6


async def test_phone_that_is_answered_and_sends_nothing_ends_as_a_fault(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    desk = CallDesk(plan())
    async with serving(livekit_server, desk, tmp_path, sends=False) as (phone, task):
        async with asyncio.timeout(15):
            await phone.subscribed.wait()
        await phone.answer()
        await phone.hear_out()
        async with asyncio.timeout(NO_MEDIA_S + 10):
            await task
    assert desk.ended().reason is Reason.NO_MEDIA
