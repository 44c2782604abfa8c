"""From a bot's vendors to engines that stand in for one another."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import utils

from agent.engines import Engines
from agent.fallback.llm import FallbackLLM
from agent.fallback.stand_in import line_up_of
from agent.fallback.stt import FallbackSTT
from agent.fallback.tts import FallbackTTS
from agent.providers import ConfigUnusable, build_engines
from agent.speech.rules import RulesLLM
from contracts.bot import BotConfig
from contracts.ids import Channel
from contracts.plan import AgentPlan

STT: dict[str, Any] = {"provider": "deepgram", "api_key": "k"}
LLM: dict[str, Any] = {"provider": "openai", "api_key": "k", "model": "gpt-4.1-mini"}
TTS: dict[str, Any] = {"provider": "elevenlabs", "api_key": "k", "voice": "anna"}
OFFLINE: dict[str, Any] = {"provider": "offline"}
RULES: dict[str, Any] = {"provider": "rules"}


def engines(**config: Any) -> Engines:
    plan = AgentPlan(
        call_id="c",
        session_id="c",
        incarnation=1,
        channel=Channel.WEBSOCKET,
        call_direction="incoming",
        caller_identity="caller-c",
        config=BotConfig.model_validate(config),
    )
    return build_engines(plan, lambda *_: None)


async def test_vendors_are_watched_and_what_runs_here_is_not() -> None:
    assert engines().line_ups == []
    async with utils.http_context.open():
        made = engines(stt=STT, llm=LLM, tts=TTS)
        assert isinstance(made.stt, FallbackSTT)
        assert isinstance(made.llm, FallbackLLM)
        assert isinstance(made.tts, FallbackTTS)
        assert [len(each.members) for each in made.line_ups] == [1, 1, 1]
        await made.aclose()


async def test_fallbacks_stand_in_the_bots_order_and_are_told_without_keys() -> None:
    async with utils.http_context.open():
        made = engines(
            stt={**STT, "fallbacks": [{**STT, "model": "nova-2"}, OFFLINE]},
            llm={**LLM, "fallbacks": [RULES]},
            tts={**TTS, "api_key": "hush", "fallbacks": [OFFLINE]},
            resilience={"first_words_s": 1, "first_token_s": 2, "first_audio_s": 3},
        )
        names = [[member.name for member in each.members] for each in made.line_ups]
        assert names == [
            ["deepgram", "deepgram nova-2", "offline"],
            ["openai gpt-4.1-mini", "rules"],
            ["elevenlabs", "offline"],
        ]
        assert made.pipeline["stt"]["fallbacks"] == ["deepgram nova-2", "offline"]
        assert "hush" not in str(made.pipeline)
        # The offline voice does not take Markdown out of what it is given.
        assert made.cleans_text
        assert isinstance(made.line_ups[1].engines[1], RulesLLM)
        assert isinstance(made.stt, FallbackSTT)
        assert isinstance(made.llm, FallbackLLM)
        assert isinstance(made.tts, FallbackTTS)
        deadlines = (
            made.stt.silence.first_words_s,
            made.llm.first_token_s,
            made.tts.first_audio_s,
        )
        assert deadlines == (1, 2, 3)
        await made.aclose()


async def test_recogniser_that_judges_turns_itself_may_take_longer() -> None:
    async with utils.http_context.open():
        flux = {**STT, "model": "flux-general-en"}
        made = engines(stt={**flux, "fallbacks": [STT]}, llm=RULES, tts=OFFLINE)
        assert isinstance(made.stt, FallbackSTT)
        first, second = made.stt.line_up.engines
        assert made.stt.final_s(first) > made.stt.final_s(second) == 3.0
        await made.aclose()


async def test_recogniser_is_told_when_somebody_speaks() -> None:
    async with utils.http_context.open():
        made = engines(stt=STT, llm=RULES, tts=OFFLINE)
        assert isinstance(made.stt, FallbackSTT)
        made.voice(True)
        assert made.stt.silence.is_speaking
        assert made.stt.tape.is_owed
        made.voice(False)
        assert not made.stt.silence.is_speaking
        await made.aclose()
    engines().voice(True)


async def test_fallback_that_lacks_something_is_refused_by_its_own_name() -> None:
    with pytest.raises(ConfigUnusable) as refused:
        engines(llm={**LLM, "fallbacks": [{**LLM, "api_key": ""}]})
    assert refused.value.fields == ["llm.fallbacks.0.api_key"]


async def test_switches_are_told_and_whose_voice_speaks_is_known() -> None:
    noticed: list[tuple[str, dict[str, Any]]] = []
    async with utils.http_context.open():
        made = engines(tts={**TTS, "fallbacks": [OFFLINE]})
        made.follow_switches(lambda name, **detail: noticed.append((name, detail)))
        assert made.speaks_itself()
        line_up = line_up_of(made.tts)
        assert line_up is not None
        line_up.take(line_up.members[1], "ElevenLabsTTS answered 500", 90)
        assert not made.speaks_itself()
        assert noticed == [
            (
                "provider_switched",
                {
                    "kind": "tts",
                    "from": "elevenlabs",
                    "to": "offline",
                    "why": "ElevenLabsTTS answered 500",
                    "after_ms": 90,
                },
            )
        ]
        await made.aclose()
