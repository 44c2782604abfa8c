"""What a call's models were used for."""

from __future__ import annotations

import pytest
from livekit.agents.metrics.usage import LLMModelUsage, STTModelUsage

from agent.usage import usage_of
from contracts.engines import PromptParts

LIVE = PromptParts(mode="direct", cache_enabled=True)


def brain(prompted: int, read: int = 0, created: int = 0, said: int = 0) -> LLMModelUsage:
    return LLMModelUsage(
        provider="google",
        model="gemini-2.5-flash",
        input_tokens=prompted,
        input_cached_tokens=read,
        input_cache_creation_tokens=created,
        output_tokens=said,
    )


def test_tokens_of_all_brains_are_added_up() -> None:
    ear = STTModelUsage(provider="deepgram", model="nova-3", audio_duration=9.0)
    usage = usage_of([ear, brain(900, 600, 100, 40), brain(50, said=5)], LIVE)
    assert [each["type"] for each in usage["models"]] == ["stt_usage", "llm_usage", "llm_usage"]
    assert usage["cache_read_input_tokens"] == 600
    assert usage["cache_creation_input_tokens"] == 100
    assert usage["fresh_prompt_tokens"] == 250
    assert usage["completion_tokens"] == 45


@pytest.mark.parametrize(
    ("read", "prompt", "is_lost", "enabled", "statuses"),
    [
        (0, None, False, False, []),
        # Some vendors keep prompts unasked.
        (10, None, False, False, ["read"]),
        (10, LIVE, False, True, ["read"]),
        (0, LIVE, False, True, ["missed"]),
        (0, LIVE, True, True, ["lost", "missed"]),
        (10, LIVE, True, True, ["lost", "read"]),
        (0, PromptParts(mode="direct"), False, False, []),
    ],
)
def test_it_is_told_how_the_cache_did(
    read: int, prompt: PromptParts | None, is_lost: bool, enabled: bool, statuses: list[str]
) -> None:
    usage = usage_of([brain(100, read)], prompt, is_cache_lost=is_lost)
    assert (usage["cache_enabled"], usage["cache_statuses"]) == (enabled, statuses)


def test_call_without_a_word_from_the_brain_has_no_status() -> None:
    assert usage_of([], LIVE)["cache_statuses"] == []
