"""What the options of all vendors have in common."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from contracts.engines import LlmConfig
from contracts.vendor.option import (
    Listed,
    Options,
    bad_options,
    offline_language,
    without_key,
)


class Some(Options):
    words: Listed = Field(default_factory=list)


def test_null_is_not_set_and_what_is_not_known_is_kept_apart() -> None:
    options = Some.model_validate({"words": None, "pitch": 2})
    assert options.words == []
    assert options.ignored == ["pitch"]


def test_one_text_stands_for_a_list() -> None:
    assert Some.model_validate({"words": "Asha"}).words == ["Asha"]
    assert Some.model_validate({"words": ["a", "b"]}).words == ["a", "b"]


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ValidationError):
        Some.model_validate("nothing of the kind")


def test_bad_value_is_told_by_its_place_and_never_shown() -> None:
    assert bad_options("stt", Some, {}) == []
    [complaint] = bad_options("stt", Some, {"words": 7})
    assert complaint.field == "stt.extra.words"
    assert "7" not in complaint.message


def test_key_is_required_but_by_a_server_of_ones_own() -> None:
    [complaint] = without_key("llm", LlmConfig(provider="openai"))
    assert complaint.field == "llm.api_key"
    assert without_key("llm", LlmConfig(provider="openai", api_key="k")) == []
    assert without_key("llm", LlmConfig(provider="openai", base_url="http://models.example")) == []


def test_offline_engines_know_english_alone() -> None:
    assert [offline_language("stt", each) for each in ("", "en", "EN-us", "en_IN")] == [[]] * 4
    [complaint] = offline_language("tts", "hi-IN")
    assert (complaint.field, "English" in complaint.message) == ("tts.language", True)
