"""What a call's models were used for: what vendors bill, and what prompt caches saved of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from livekit.agents.metrics import ModelUsage
from livekit.agents.metrics.usage import LLMModelUsage

from contracts.engines import PromptParts


def usage_of(
    models: Sequence[ModelUsage], prompt: PromptParts | None, *, is_cache_lost: bool = False
) -> dict[str, Any]:
    """Return the totals that a result shows: per model, and the tokens of all language models.

    Args:
        models: the session's counts.
        prompt: the bot's prompt in parts, which says whether a cache is wanted.
        is_cache_lost: whether the vendor no longer had a prompt that it was to keep.
    """
    brains = [each for each in models if isinstance(each, LLMModelUsage)]
    read = sum(each.input_cached_tokens for each in brains)
    created = sum(each.input_cache_creation_tokens for each in brains)
    prompted = sum(each.input_tokens for each in brains)
    is_wanted = prompt is not None and prompt.is_live
    statuses = ["lost"] if is_cache_lost else []
    if prompted and (is_wanted or read):
        statuses.append("read" if read else "missed")
    return {
        "models": [each.model_dump(mode="json") for each in models],
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": created,
        "fresh_prompt_tokens": max(0, prompted - read - created),
        "completion_tokens": sum(each.output_tokens for each in brains),
        "cache_enabled": is_wanted,
        "cache_statuses": statuses,
    }
