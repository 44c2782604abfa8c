"""Which vendors a bot may name, and what is said of a choice that cannot work."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contracts.bot import BotConfig
from contracts.vendor import (
    Complaint,
    DeepgramOptions,
    complaints,
    ignored_options,
    takes_language,
)

STT = {"provider": "deepgram", "api_key": "k"}
LLM = {"provider": "openai", "api_key": "k", "model": "gpt-4.1-mini"}
TTS = {"provider": "elevenlabs", "api_key": "k", "voice": "v"}


def bot(**parts: dict[str, Any]) -> BotConfig:
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
        ("stt", {**STT, "model": "flux-general-en"}, "stt.model"),
        ("stt", {**STT, "language": ""}, "stt.language"),
        ("stt", {**STT, "model": "nova-2", "extra": {"keyterm": "Asha"}}, "stt.extra.keyterm"),
        ("stt", {**STT, "extra": {"endpointing": "soon"}}, "stt.extra.endpointing"),
        ("llm", {**LLM, "model": ""}, "llm.model"),
        ("llm", {**LLM, "extra": {"top_p": 2}}, "llm.extra.top_p"),
        ("tts", {**TTS, "voice": ""}, "tts.voice"),
        ("tts", {**TTS, "language": ""}, "tts.language"),
        ("tts", {**TTS, "extra": {"speed": 9}}, "tts.extra.speed"),
    ],
)
def test_choice_that_cannot_work_is_named(kind: str, config: dict[str, Any], field: str) -> None:
    found = complaints(bot(**{kind: config}))
    assert {each.field.removesuffix(".int").removesuffix(".bool") for each in found} == {field}
    assert all(each.message for each in found)


def test_unknown_provider_is_told_what_there_is() -> None:
    [complaint] = complaints(bot(stt={"provider": "nobody"}))
    assert complaint == Complaint(
        "stt.provider", "'nobody' is unknown; there are: offline, deepgram"
    )


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


def test_own_server_is_given_every_option() -> None:
    own = {**LLM, "base_url": "http://models.example/v1", "extra": {"top_k": 40}}
    assert ignored_options(bot(llm=own)) == []
    assert ignored_options(BotConfig()) == []


def test_malformed_option_is_refused() -> None:
    with pytest.raises(ValidationError):
        ignored_options(bot(stt={**STT, "extra": {"keyterm": 7}}))
    with pytest.raises(ValidationError):
        DeepgramOptions.model_validate("nothing of the kind")


@pytest.mark.parametrize(
    ("endpointing", "expected"), [(300, 300), (False, 0), (True, 25), (None, 25), (0, 0)]
)
def test_endpointing_is_a_time_or_off(endpointing: object, expected: int) -> None:
    assert DeepgramOptions.model_validate({"endpointing": endpointing}).endpointing_ms == expected


def test_one_text_stands_for_a_list() -> None:
    assert DeepgramOptions.model_validate({"keyterm": "Asha"}).keyterm == ["Asha"]
    assert DeepgramOptions.model_validate({"keyterm": ["a", "b"]}).keyterm == ["a", "b"]


@pytest.mark.parametrize(
    ("model", "expected"), [("eleven_flash_v2_5", True), ("eleven_multilingual_v2", False)]
)
def test_language_code_is_for_models_that_take_one(model: str, expected: bool) -> None:
    assert takes_language(model) is expected
