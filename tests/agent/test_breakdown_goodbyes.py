"""Goodbyes whose voice fails: they are heard all the same, and the call ends as it would have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from livekit.agents import APIConnectionError, APIStatusError, tts

from agent.apology import Apology
from agent.engines import Engines
from agent.fallback.line_up import LineUp
from agent.fallback.tts import FallbackTTS
from contracts.command import HangUp
from contracts.outcome import Reason
from tests.agent.test_breakdown import SORRY, kept
from tests.fakes.engines import ScriptedEngines, ScriptedTTS
from tests.fakes.spoken_call import GREETING, Call, running
from tests.fakes.virtual_time import virtual_time

CLOSING = "Thank you for calling, goodbye!"
HINDI = "\u0927\u0928\u094d\u092f\u0935\u093e\u0926"
END_CALL = (CLOSING, "end_call", "{}")
LONGEST_SILENCE_S = 3.0
SHORT = {"max_call_duration_seconds": 30, "no_response_seconds": 60}
DESK = {"value": "1001", "type": "extension", "is_default": True}


class Parting(ScriptedEngines):
    """Engines with one voice of the bot's, and one that cannot fail."""

    def __init__(self, *replies: str | tuple[str, str, str]) -> None:
        super().__init__(*replies)
        self.last = ScriptedTTS()

    def engines(self) -> Engines:
        made = super().engines()
        voices = LineUp[tts.TTS[Any]]("tts", [("voice", self.tts)], cool_down_s=30)
        made.tts = FallbackTTS(voices, first_audio_s=1.5, parting=self.last)
        return made


def refuse(voice: ScriptedTTS) -> None:
    voice.error = APIStatusError("no", status_code=401)


def reset(voice: ScriptedTTS) -> None:
    voice.error = APIConnectionError("reset")


def fall_silent(voice: ScriptedTTS) -> None:
    voice.is_silent = True


FAULTS = [refuse, reset, fall_silent]


def parting_call(*replies: str | tuple[str, str, str], **config: Any) -> Call:
    return Call(Parting(*replies), apology=Apology(SORRY, kept), transfer_targets=[DESK], **config)


@pytest.mark.parametrize("break_it", FAULTS)
def test_closing_line_is_heard_at_once_in_the_voice_that_cannot_fail(
    break_it: Callable[[ScriptedTTS], None],
) -> None:
    @virtual_time
    async def run() -> None:
        call = parting_call(closing_message=CLOSING, **SHORT)
        async with running(call):
            await call.lines(1)
            break_it(call.tts)
            await asyncio.sleep(30 - call.now())
            await call.until(lambda: call.room.is_playing, LONGEST_SILENCE_S)
            assert (await call.ended()).reason is Reason.MAX_DURATION
            assert call.said("bot") == [GREETING, CLOSING]
            assert call.room.commands == [HangUp()]
            assert "engines_lost" not in call.noticed()

    run()


@virtual_time
async def test_goodbye_of_the_models_is_heard_though_its_voice_falls_silent() -> None:
    call = parting_call(END_CALL)
    async with running(call):
        await call.lines(1)
        call.tts.is_silent = True
        call.caller.say("That would be all")
        asked_at = call.now()
        await call.until(lambda: call.room.is_playing)
        assert call.now() - asked_at < LONGEST_SILENCE_S
        assert (await call.ended()).reason is Reason.BOT_ENDED
        assert call.said("bot") == [GREETING, CLOSING]


@pytest.mark.parametrize("break_it", FAULTS)
def test_goodbye_that_no_voice_can_say_is_an_apology_and_the_call_still_complete(
    break_it: Callable[[ScriptedTTS], None],
) -> None:
    @virtual_time
    async def run() -> None:
        call = parting_call(closing_message=HINDI, **SHORT)
        async with running(call):
            await call.lines(1)
            await asyncio.sleep(7)
            break_it(call.tts)
            assert (await call.ended()).reason is Reason.MAX_DURATION
            assert call.said("bot") == [GREETING, SORRY]
            assert call.room.commands == [HangUp()]

    run()


@virtual_time
async def test_goodbye_of_the_models_that_no_voice_can_say_ends_the_call_as_it_was_to() -> None:
    call = parting_call((HINDI, "end_call", "{}"))
    async with running(call):
        await call.lines(1)
        await asyncio.sleep(7)
        call.tts.is_silent = True
        call.caller.say("That would be all")
        assert (await call.ended()).reason is Reason.BOT_ENDED
        assert call.said("bot") == [GREETING, SORRY]
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_recogniser_that_is_lost_disturbs_no_goodbye() -> None:
    call = parting_call(closing_message=CLOSING, **SHORT)
    async with running(call):
        await call.lines(1)
        await asyncio.sleep(30.2 - call.now())
        assert call.room.is_playing
        call.caller.fail(APIStatusError("no", status_code=401))
        assert (await call.ended()).reason is Reason.MAX_DURATION
        assert call.said("bot") == [GREETING, CLOSING]


@virtual_time
async def test_after_a_goodbye_that_was_cut_off_the_call_is_none_that_ends() -> None:
    call = parting_call(END_CALL, "At nine.")
    async with running(call):
        await call.lines(1)
        call.caller.say("That would be all")
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(0.5)
        call.caller.say("Wait, when do you open tomorrow?")
        await call.lines(5)
        refuse(call.tts)
        call.caller.say("And the day after?")
        assert (await call.ended()).reason is Reason.TRANSFERRED
