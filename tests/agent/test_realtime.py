"""What reaches a realtime model, how long it is waited for, and what is told of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit import rtc
from livekit.agents.llm import RealtimeModel

from agent.engines import Engines
from agent.providers import ConfigUnusable, ProviderUnknown, build_engines
from agent.realtime import IDLE_S, AnswerTimer, VoiceGate
from agent.turn_end import TurnEnd
from agent.vendor.gemini_live import GeminiLive
from agent.vendor.openai_realtime import OpenAiRealtime
from contracts.outcome import Reason
from contracts.report import TurnMeasured
from tests.agent.test_conversation_realtime import REALTIME, calling
from tests.agent.test_visitor import GREETING, visiting
from tests.fakes.realtime import RealtimeEngines
from tests.fakes.spoken_call import plan
from tests.fakes.virtual_time import virtual_time

RATE_HZ = 8000


def frame(number: int) -> rtc.AudioFrame:
    """Return 20 ms that know their number."""
    samples = RATE_HZ // 50
    return rtc.AudioFrame(number.to_bytes(2, "little") * samples, RATE_HZ, 1, samples)


def number_of(heard: rtc.AudioFrame) -> int:
    return int(heard.data[0])


def test_gate_keeps_what_nobody_spoke_and_gives_the_last_of_it() -> None:
    gate = VoiceGate()
    assert not any(gate.hear(frame(n)) for n in range(100))
    assert [number_of(each) for each in gate.voice()] == list(range(80, 100))
    assert gate.is_open
    assert gate.hear(frame(100))
    assert gate.voice() == []


def test_gate_that_is_closed_begins_anew() -> None:
    gate = VoiceGate()
    gate.voice()
    gate.hear(frame(1))
    gate.close()
    assert not gate.hear(frame(2))
    assert [number_of(each) for each in gate.voice()] == [2]


def test_gate_is_forgotten_when_no_voice_has_kept_it_open() -> None:
    gate = VoiceGate()
    frames = round(IDLE_S * 50)
    gate.voice()
    for n in range(frames - 1):
        gate.hear(frame(n))
    assert not gate.is_forgotten
    gate.voice()
    for n in range(frames - 1):
        gate.hear(frame(n))
    assert not gate.is_forgotten
    # Two, since hundredths of seconds do not add up to whole ones.
    gate.hear(frame(0))
    gate.hear(frame(0))
    assert gate.is_forgotten
    gate.close()
    assert not gate.is_forgotten


@virtual_time
async def test_timer_counts_what_stays_unanswered_in_a_row() -> None:
    overdue: list[int] = []
    timer = AnswerTimer(5.0, overdue.append)
    timer.asked()
    await asyncio.sleep(4.9)
    assert overdue == []
    await asyncio.sleep(0.2)
    assert overdue == [1]
    timer.asked()
    await asyncio.sleep(5.1)
    assert overdue == [1, 2]
    timer.asked()
    timer.answered()
    await asyncio.sleep(10)
    timer.asked()
    timer.stop()
    await asyncio.sleep(10)
    timer.asked()
    await asyncio.sleep(5.1)
    assert overdue == [1, 2, 1]


def built(**config: Any) -> Engines:
    realtime = {"provider": "openai", "api_key": "key", **config.pop("realtime", {})}
    made = plan(runtime_mode="realtime", realtime=realtime, **config)
    return build_engines(made, lambda *_: None)


@pytest.mark.parametrize(("provider", "kind"), [("openai", OpenAiRealtime), ("google", GeminiLive)])
def test_our_ears_hear_beside_the_model(provider: str, kind: type[RealtimeModel]) -> None:
    engines = built(realtime={"provider": provider})
    assert isinstance(engines.llm, kind)
    assert engines.realtime is not None
    assert isinstance(engines.llm, RealtimeModel)
    assert not engines.llm.capabilities.turn_detection
    assert not engines.llm.capabilities.user_transcription
    assert None not in (engines.stt, engines.vad, engines.tts)
    assert isinstance(engines.turn_detection, TurnEnd)
    assert engines.pipeline["realtime"]["provider"] == provider
    assert "api_key" not in str(engines.pipeline)


@pytest.mark.parametrize("provider", ["openai", "google"])
def test_vendor_s_ears_are_alone_where_the_bot_wants_it_so(provider: str) -> None:
    engines = built(realtime={"provider": provider}, turn={"detector": "stt"})
    assert isinstance(engines.llm, RealtimeModel)
    assert engines.llm.capabilities.turn_detection
    assert engines.llm.capabilities.user_transcription
    assert (engines.stt, engines.vad) == (None, None)
    assert engines.turn_detection == "realtime_llm"
    assert engines.pipeline["turn_detector"] == provider


def test_bot_that_cannot_be_served_is_refused_when_the_call_starts() -> None:
    with pytest.raises(ConfigUnusable, match=r"realtime\.api_key"):
        built(realtime={"api_key": ""})
    with pytest.raises(ProviderUnknown, match=r"realtime\.provider"):
        built(realtime={"provider": "nobody"})


@virtual_time
async def test_silence_in_which_the_model_owes_an_answer_is_not_the_caller_s() -> None:
    async with calling("One moment.", dead_air_seconds=3, re_engagement=None) as call:
        await call.lines(1)
        await call.speak("When are you open?")
        call.model.owes_answer = True
        await call.lines(3)
        await asyncio.sleep(5)
        call.conversation.prompt("Still one moment.")
        await asyncio.sleep(8)
        assert call.running is not None
        assert not call.running.done()
        assert call.model.follower is not None
        call.model.owes_answer = False
        call.model.follower.weigh()
        asked_at = call.now()
        ending = await call.ended()
        assert ending.reason is Reason.DEAD_AIR
        assert call.now() - asked_at < 5


@virtual_time
async def test_model_is_waited_for_as_long_as_its_bot_wants() -> None:
    async with calling("At nine.", realtime={**REALTIME, "answer_s": 30}) as call:
        await call.lines(1)
        call.model.is_silent = True
        await call.speak("When are you open?")
        await asyncio.sleep(60)
        assert call.running is not None
        assert not call.running.done()
        ending = await call.ended(20)
        assert (ending.reason, ending.detail) == (Reason.PIPELINE_FAILED, "no answer came")


@virtual_time
async def test_visitor_s_typed_words_reach_the_model_once_and_are_told_as_typed() -> None:
    scripted = RealtimeEngines("At nine.", "On Sunday.")
    async with visiting(scripted=scripted, runtime_mode="realtime", realtime=REALTIME) as call:
        await call.until_said("bot", 1)
        call.room.type("When do you open?")
        await call.until_said("bot", 2)
        assert scripted.model.history == [GREETING, "When do you open?"]
        assert scripted.model.asked == ["When do you open?"]
        assert call.typed() == ["When do you open?"]
        # Nobody can say when they ended.
        assert [fact for fact in call.facts if isinstance(fact, TurnMeasured)] == []
