"""No caller is left talking to nobody: what ends a call whose engines fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from livekit.agents import AgentSession, APIConnectionError, APIStatusError
from livekit.agents.voice.events import UserInputTranscribedEvent, UserTranscriptionTimeoutEvent

from agent.vigil import DEAF, Vigil
from contracts.outcome import Reason
from tests.fakes.engines import ScriptedEngines, ScriptedSTT, ScriptedVAD
from tests.fakes.spoken_call import Call, calling, running
from tests.fakes.virtual_time import virtual_time


async def ask_on(caller: ScriptedSTT, every_s: float = 6.0) -> None:
    while True:
        caller.say("Are you there?")
        await asyncio.sleep(every_s)


@virtual_time
async def test_model_that_never_answers_ends_the_call_however_often_one_asks() -> None:
    async with calling() as call:
        await call.lines(1)
        call.llm.is_silent = True
        asking = asyncio.create_task(ask_on(call.caller))
        ending = await call.ended(40)
        asking.cancel()
        assert (ending.reason, ending.detail) == (Reason.PIPELINE_FAILED, "no answer came")


@virtual_time
async def test_model_that_fails_again_and_again_ends_the_call() -> None:
    async with calling() as call:
        await call.lines(1)
        call.llm.error = APIConnectionError("gone", retryable=False)
        asking = asyncio.create_task(ask_on(call.caller))
        ending = await call.ended(40)
        asking.cancel()
        assert ending.reason is Reason.PIPELINE_FAILED
        assert call.noticed().count("service_error") >= 3


@virtual_time
async def test_wrong_key_ends_the_call_at_once() -> None:
    async with calling() as call:
        await call.lines(1)
        call.llm.error = APIStatusError("no", status_code=401)
        call.caller.say("Are you there?")
        ending = await call.ended(10)
        assert (ending.reason, ending.detail) == (
            Reason.PIPELINE_FAILED,
            "ScriptedLLM answered 401",
        )


@virtual_time
async def test_answer_that_comes_stops_the_clock() -> None:
    async with calling(dead_air_seconds=60) as call:
        await call.lines(1)
        call.caller.say("Are you there?")
        await call.lines(3)
        await asyncio.sleep(30)
        assert call.running is not None
        assert not call.running.done()


class Watched:
    """A vigil over a session that does not run."""

    def __init__(self) -> None:
        self.session: AgentSession[Any] = AgentSession()
        self.failed: list[str] = []
        self.noticed: list[str] = []
        self.vigil = Vigil(
            self.session, self.failed.append, lambda name, **_: self.noticed.append(name)
        )

    def miss(self, speech_s: float) -> None:
        self.session.emit(
            "user_transcription_timeout",
            UserTranscriptionTimeoutEvent(speech_duration=speech_s, vad_speech_started_at=0.0),
        )

    def transcribe(self, text: str) -> None:
        event = UserInputTranscribedEvent(transcript=text, is_final=True)
        self.session.emit("user_input_transcribed", event)


async def test_stt_that_hears_nothing_is_given_up() -> None:
    watched = Watched()
    watched.miss(1.2)
    assert watched.vigil.is_deaf
    watched.miss(2.4)
    assert watched.failed == []
    watched.miss(3.6)
    assert watched.failed == [DEAF]
    assert watched.noticed == ["not_transcribed"] * 3


async def test_words_show_that_the_stt_hears() -> None:
    watched = Watched()
    shows: list[Callable[[], None]] = [lambda: watched.transcribe("Hello."), watched.vigil.heard]
    for show in shows:
        watched.miss(1.2)
        watched.miss(2.4)
        show()
        assert not watched.vigil.is_deaf
    watched.transcribe(" ")
    assert watched.failed == []


@asynccontextmanager
async def heard_by_vad() -> AsyncIterator[tuple[Call, ScriptedVAD]]:
    """Have a call that nothing but an engine's failure ends soon."""
    vad = ScriptedVAD()
    engines = ScriptedEngines(vad=vad)
    async with running(Call(engines, no_response_seconds=300, dead_air_seconds=300)) as call:
        await call.lines(1)
        yield call, vad


async def speak(call: Call, vad: ScriptedVAD, seconds: float, words: str | None) -> None:
    """Speak, and be silent for two seconds; of which the STT makes `words`, or says nothing."""
    vad.begin()
    await asyncio.sleep(seconds)
    vad.end()
    if words is not None:
        call.caller.final(words)
    await asyncio.sleep(2.0)


def is_over(call: Call) -> bool:
    assert call.running is not None
    return call.running.done()


@pytest.mark.parametrize("words", ["", None])
def test_stt_that_never_finds_words_is_given_up_soon_after_the_third_utterance(
    words: str | None,
) -> None:
    @virtual_time
    async def run() -> None:
        async with heard_by_vad() as (call, vad):
            began = call.now()
            for _ in range(3):
                assert not is_over(call)
                await speak(call, vad, 1.5, words)
            ending = await call.ended(5)
            assert (ending.reason, ending.detail) == (Reason.PIPELINE_FAILED, DEAF)
            assert call.now() - began < 12

    run()


@virtual_time
async def test_coughs_end_no_call_whose_stt_answers() -> None:
    async with heard_by_vad() as (call, vad):
        for _ in range(10):
            await speak(call, vad, 0.6, "")
        assert not is_over(call)


@virtual_time
async def test_television_ends_no_call_whose_stt_has_found_words_before() -> None:
    async with heard_by_vad() as (call, vad):
        await speak(call, vad, 1.5, "Good evening.")
        await call.lines(3)
        for _ in range(10):
            await speak(call, vad, 2.5, "")
        assert not is_over(call)


@virtual_time
async def test_words_that_come_after_the_third_utterance_are_in_time() -> None:
    async with heard_by_vad() as (call, vad):
        for words in ("", "", "Good evening."):
            await speak(call, vad, 1.5, words)
        await asyncio.sleep(10)
        assert not is_over(call)
        assert call.said("customer") == ["Good evening."]
