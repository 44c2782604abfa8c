"""From a bot's config to engines and the session's options."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from agent.engines import Engines, turn_handling
from agent.providers import ProviderUnknown, build_engines
from agent.speech.rules import RulesLLM
from agent.speech.stt import MoonshineSTT
from agent.speech.tts import HibariTTS
from agent.turn_end import TurnEnd
from contracts.bot import BotConfig
from contracts.engines import TurnConfig
from contracts.ids import Channel
from contracts.plan import AgentPlan


def engines(
    config: dict[str, Any] | None = None, *, text_only: bool = False, **fields: Any
) -> Engines:
    plan = AgentPlan(
        call_id="c",
        session_id="c",
        incarnation=1,
        channel=Channel.WEBSOCKET,
        call_direction="incoming",
        caller_identity="caller-c",
        text_only=text_only,
        config=BotConfig.model_validate({**(config or {}), **fields}),
    )
    return build_engines(plan, lambda *_: None)


async def test_bot_that_names_nothing_runs_offline() -> None:
    made = engines()
    assert isinstance(made.stt, MoonshineSTT)
    assert isinstance(made.llm, RulesLLM)
    assert isinstance(made.tts, HibariTTS)
    assert isinstance(made.turn_detection, TurnEnd)
    assert made.pipeline["llm"] == {"provider": "rules", "model": ""}


@pytest.mark.parametrize("kind", ["stt", "llm", "tts"])
async def test_unknown_provider_is_named(kind: str) -> None:
    with pytest.raises(ProviderUnknown) as refused:
        engines({kind: {"provider": "nobody"}})
    assert (refused.value.kind, refused.value.provider) == (kind, "nobody")
    assert f"{kind}.provider 'nobody'" in str(refused.value)


async def test_keys_never_reach_what_is_reported() -> None:
    made = engines(stt={"api_key": "hush"}, llm={"api_key": "hush"}, tts={"api_key": "hush"})
    assert "hush" not in str(made.pipeline)


async def test_malformed_rules_are_refused() -> None:
    with pytest.raises(ValidationError):
        engines(llm={"provider": "rules", "rules": {"flows": 7}})


@pytest.mark.parametrize(
    "named", [{"provider": "deepgram_flux"}, {"provider": "deepgram", "model": "flux-general-en"}]
)
async def test_recogniser_that_tells_turns_is_left_to(named: dict[str, Any]) -> None:
    made = engines(stt={**named, "api_key": "k"})
    assert made.stt is not None
    assert made.stt.model == "flux-general-en"
    assert (made.turn_detection, made.pipeline["turn_detector"]) == ("stt", "stt")


async def test_bot_may_name_another_than_such_a_recogniser() -> None:
    named = engines(stt={"provider": "soniox", "api_key": "k"}, turn={"detector": "v1-mini"})
    assert isinstance(named.turn_detection, TurnEnd)


async def test_offline_recogniser_ends_turns_itself_where_a_bot_wants_it() -> None:
    made = engines(turn={"detector": "stt"})
    assert made.turn_detection == "stt"
    assert made.stt is not None
    assert not made.stt.capabilities.manual_flush


async def test_realtime_bots_turns_are_told_by_the_bundled_model_unless_it_names_another() -> None:
    realtime = {"provider": "openai", "api_key": "k"}
    made = engines(runtime_mode="realtime", realtime=realtime)
    assert isinstance(made.turn_detection, TurnEnd)
    assert made.pipeline["turn_detector"] == "v1-mini"


async def test_bot_may_end_turns_by_voice_activity_alone() -> None:
    assert engines(turn={"detector": "vad"}).turn_detection == "vad"


def test_turn_model_alone_decides_how_long_a_silence_must_be() -> None:
    options = turn_handling(TurnConfig(min_delay_s=0.2), TurnEnd())
    assert options["endpointing"]["min_delay"] == 0.0


async def test_answer_may_be_begun_early_but_not_by_rules() -> None:
    turn = {"preemptive": True}
    assert turn_handling(TurnConfig(**turn), "vad")["preemptive_generation"]["enabled"]
    made = engines(turn=turn)
    session = made.session(BotConfig.model_validate({"turn": turn}))
    assert not session.options.preemptive_generation["enabled"]


def test_turns_follow_the_config_and_any_voice_pauses_the_bot() -> None:
    options = turn_handling(TurnConfig(min_delay_s=0.2, max_delay_s=0.9), "vad")
    endpointing, interruption = options["endpointing"], options["interruption"]
    assert (endpointing["min_delay"], endpointing["max_delay"]) == (0.2, 0.9)
    assert (interruption["mode"], interruption["min_words"]) == ("vad", 0)
    assert interruption["resume_false_interruption"]
    assert not options["preemptive_generation"]["enabled"]


async def test_call_by_text_has_nothing_that_hears_or_speaks() -> None:
    # Nor does it matter that the bot's voice could not be run.
    made = engines(text_only=True, stt={"provider": "deepgram"}, tts={"provider": "elevenlabs"})
    assert (made.stt, made.tts, made.vad, made.turn_detection) == (None, None, None, "manual")
    assert isinstance(made.llm, RulesLLM)
    assert list(made.pipeline) == ["llm"]
    assert [frame async for frame in made.synthesize("Hello")] == []
    session = made.session(BotConfig())
    assert (session.stt, session.tts, session.vad) == (None, None, None)
    await made.aclose()


async def test_call_by_text_still_needs_a_brain() -> None:
    with pytest.raises(ProviderUnknown):
        engines(text_only=True, llm={"provider": "nobody"})
