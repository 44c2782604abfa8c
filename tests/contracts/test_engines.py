"""What a bot hears, thinks and speaks with."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from contracts.engines import (
    LlmConfig,
    PromptParts,
    Resilience,
    SttConfig,
    TtsConfig,
    TurnConfig,
)


@pytest.mark.parametrize("config", [SttConfig, LlmConfig, TtsConfig])
def test_fallbacks_stand_side_by_side(
    config: type[SttConfig] | type[LlmConfig] | type[TtsConfig],
) -> None:
    other = {"provider": "other"}
    assert len(config.model_validate({"fallbacks": [other, other]}).fallbacks) == 2
    with pytest.raises(ValidationError, match="no fallbacks of its own"):
        config.model_validate({"fallbacks": [{**other, "fallbacks": [other]}]})


def test_rules_are_kept_as_written_and_must_hold() -> None:
    rules: dict[str, object] = {"tools": {}}
    assert LlmConfig(rules=rules).rules == rules
    assert LlmConfig(rules=None).rules is None
    with pytest.raises(ValidationError):
        LlmConfig(rules={"tools": 7})


@pytest.mark.parametrize(
    ("mode", "cached", "live"),
    [("direct", True, True), ("direct", False, False), ("legacy", True, False)],
)
def test_parts_stand_in_for_the_prompt_where_both_say_so(
    mode: str, cached: bool, live: bool
) -> None:
    assert PromptParts.model_validate({"mode": mode, "cache_enabled": cached}).is_live is live


@pytest.mark.parametrize(
    ("parts", "empty"),
    [
        ({}, True),
        ({"static_system_prompt": " "}, True),
        ({"static_system_prompt": "Be brief."}, False),
        ({"dynamic_runtime_prompt": "{{crm.prompt}}"}, False),
        ({"cached_content": "cachedContents/1"}, False),
        ({"mode": "legacy"}, False),
    ],
)
def test_parts_without_a_word_are_empty_where_they_stand_in(
    parts: dict[str, str], empty: bool
) -> None:
    live = {"mode": "direct", "cache_enabled": True}
    assert PromptParts.model_validate({**live, **parts}).is_empty is empty


def test_turn_is_looked_at_before_it_is_over() -> None:
    assert TurnConfig(min_delay_s=1, max_delay_s=1).max_delay_s == 1
    with pytest.raises(
        ValidationError, match=r"min_delay_s \(2\) must be at most max_delay_s \(1\)"
    ):
        TurnConfig(min_delay_s=2, max_delay_s=1)


def test_apology_is_the_same_for_all_callers() -> None:
    assert Resilience(apology_message="So sorry.").apology_message == "So sorry."
    with pytest.raises(ValidationError, match=r"no \{\{variables"):
        Resilience(apology_message="So sorry, {{crm.name}}.")
