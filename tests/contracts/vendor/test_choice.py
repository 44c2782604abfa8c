"""Which vendors a bot may name, and what is said of a choice that cannot work."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.bot import BotConfig
from contracts.vendor.choice import chosen, complaints, ignored_options, unprompted

STT = {"provider": "deepgram", "api_key": "k"}
LLM = {"provider": "openai", "api_key": "k", "model": "gpt-4.1-mini"}
TTS = {"provider": "elevenlabs", "api_key": "k", "voice": "v"}


def bot(**parts: Any) -> BotConfig:
    return BotConfig.model_validate({"stt": STT, "llm": LLM, "tts": TTS, **parts})


def test_bot_with_three_vendors_and_a_bot_that_names_none_are_fine() -> None:
    assert complaints(bot()) == []
    assert complaints(BotConfig()) == []


@pytest.mark.parametrize(
    ("kind", "config", "field"),
    [
        ("stt", {"provider": "nobody"}, "stt.provider"),
        ("llm", {"provider": "nobody"}, "llm.provider"),
        ("tts", {"provider": "nobody"}, "tts.provider"),
        ("stt", {**STT, "api_key": ""}, "stt.api_key"),
        ("llm", {**LLM, "api_key": ""}, "llm.api_key"),
        ("tts", {**TTS, "api_key": ""}, "tts.api_key"),
        ("realtime", {"provider": "nobody"}, "realtime.provider"),
    ],
)
def test_choice_that_cannot_work_is_named(kind: str, config: dict[str, Any], field: str) -> None:
    found = complaints(bot(**{kind: config}))
    assert [each.field for each in found] == [field]
    assert all(each.message for each in found)


def test_unknown_provider_is_told_what_there_is() -> None:
    [complaint] = complaints(bot(tts={"provider": "nobody"}))
    assert complaint.field == "tts.provider"
    assert complaint.message.startswith("'nobody' is unknown; there are: offline, ")


@pytest.mark.parametrize(("kind", "config"), [("stt", STT), ("llm", LLM), ("tts", TTS)])
def test_server_of_ones_own_needs_no_key(kind: str, config: dict[str, Any]) -> None:
    own = {**config, "api_key": "", "base_url": "http://models.example/v1"}
    assert complaints(bot(**{kind: own})) == []


def test_complaints_never_hold_values_of_secrets() -> None:
    found = complaints(bot(llm={**LLM, "api_key": "hush", "model": "", "extra": {"top_p": "hush"}}))
    assert found
    assert "hush" not in str(found)


def test_options_that_a_vendor_does_not_know_are_named() -> None:
    config = bot(
        stt={**STT, "extra": {"eot_threshold": 0.7, "smart_format": True}},
        llm={**LLM, "extra": {"top_k": 40, "top_p": 0.9, "project_id": None}},
        tts={**TTS, "extra": {"pitch": 2}},
    )
    assert ignored_options(config) == [
        "stt.extra.eot_threshold",
        "llm.extra.top_k",
        "tts.extra.pitch",
    ]


def test_options_of_a_realtime_model_are_judged_like_the_others() -> None:
    realtime = {"provider": "openai", "api_key": "k", "extra": {"pitch": 2}}
    assert ignored_options(bot(realtime=realtime)) == ["realtime.extra.pitch"]


def test_own_server_is_given_every_option() -> None:
    own = {**LLM, "base_url": "http://models.example/v1", "extra": {"top_k": 40}}
    assert ignored_options(bot(llm=own)) == []
    assert ignored_options(BotConfig()) == []


def test_fallback_is_judged_like_a_first_choice() -> None:
    config = bot(tts={**TTS, "fallbacks": [TTS, {**TTS, "api_key": "", "extra": {"pitch": 2}}]})
    assert [each.field for each in complaints(config)] == ["tts.fallbacks.1.api_key"]
    assert ignored_options(config) == ["tts.fallbacks.1.extra.pitch"]
    assert [path for path, _ in chosen(config)] == [
        "stt", "llm", "tts", "tts.fallbacks.0", "tts.fallbacks.1",
    ]  # fmt: skip


def test_realtime_bot_must_say_which_model() -> None:
    [complaint] = complaints(bot(runtime_mode="realtime"))
    assert complaint.field == "realtime"


def test_turns_that_nobody_would_end_are_refused() -> None:
    left_to_it = {"turn": {"detector": "stt"}}
    silent = {**STT, "extra": {"endpointing": False}}
    [complaint] = complaints(bot(stt=silent, **left_to_it))
    assert complaint.field == "turn.detector"
    assert complaints(bot(stt=STT, **left_to_it)) == []
    # What else is wrong comes first, and a realtime bot's model tells its turns.
    assert [
        each.field for each in complaints(bot(stt={**silent, "api_key": ""}, **left_to_it))
    ] == ["stt.api_key"]
    realtime = {"runtime_mode": "realtime", "realtime": {"api_key": "k"}}
    assert complaints(bot(stt=silent, **left_to_it, **realtime)) == []


def test_fallback_that_would_end_no_turns_is_refused_where_the_first_one_ends_them() -> None:
    mute = {"provider": "soniox", "api_key": "k", "extra": {"vad_force_turn_endpoint": True}}
    flux = {"provider": "deepgram_flux", "api_key": "k"}
    [complaint] = complaints(bot(stt={**flux, "fallbacks": [STT, mute]}))
    assert complaint.field == "stt.fallbacks.1.extra"
    assert "soniox" in complaint.message
    assert complaints(bot(stt={**STT, "fallbacks": [mute]})) == []


def test_prompt_in_parts_has_to_be_one() -> None:
    live = {"mode": "direct", "cache_enabled": True}
    [complaint] = unprompted(bot(prompt_parts=live, system_prompt="Be kind."))
    assert complaint.field == "prompt_parts"
    assert unprompted(bot(prompt_parts={**live, "static_system_prompt": "Be brief."})) == []
    assert unprompted(bot()) == []
