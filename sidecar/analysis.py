"""What a bot wants to know of its calls afterwards, and what is made of the answers: pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from contracts import template
from contracts.bot import BotConfig
from contracts.engines import PromptParts
from contracts.report import Fact, IntentFound, TranscriptLine
from contracts.task import TaskKind

NO_MODEL = "rules"
"""The brain that answers by rules and can be asked nothing."""

CALLBACK_INTENT = "callback"
"""The intent by which a brain of rules knows that the caller wants to be called back."""
CONNECTED = "Connected"
_MAX_KEY = 64
"""Characters of a cache's key that OpenAI takes."""
_MAX_NAME = 500

_CALLBACK_PROMPT = """\
Also put these keys into the same JSON object:
"callback_requested": true if the customer asked to be called back later, else false;
"callback_preferred_time_text": when, in the customer's own words, else "";
"callback_reason": why, in a few words, else "";
"callback_confidence": how sure you are of callback_requested, a number from 0 to 1."""

_YES = frozenset({"true", "yes", "y", "1"})
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def prompt_of(config: BotConfig, kind: TaskKind) -> str:
    """Return what the bot wants to be found out, as it was written; "" for nothing."""
    prompt = config.post_call_analysis_prompt if kind is TaskKind.ANALYSIS else config.qc_prompt
    return (prompt or "").strip()


def asks(config: BotConfig) -> list[TaskKind]:
    """Return which questions about its calls a bot wants put to its language model."""
    if config.llm.provider == NO_MODEL:
        return []
    return [kind for kind in TaskKind if prompt_of(config, kind)]


def question(config: BotConfig, kind: TaskKind, variables: Mapping[str, str]) -> str:
    """Return the question about one call: the bot's prompt, its templates resolved."""
    prompt = template.render(prompt_of(config, kind), variables)
    if kind is TaskKind.ANALYSIS and wants_callback(config):
        return f"{prompt}\n\n{_CALLBACK_PROMPT}"
    return prompt


def kept(config: BotConfig, kind: TaskKind) -> PromptParts | None:
    """Return how the vendor is to keep the prompt of a question; None: not at all.

    `post_call_cache` says so for both questions, or under `analysis` and `qc` for each.
    """
    if not config.post_call_cache_enabled:
        return None
    hints = config.post_call_cache or {}
    own = hints.get(kind.value)
    given = own if isinstance(own, dict) else hints
    key = f"{config.bot_id}-{kind.value}-{config.post_call_cache_version}".rstrip("-")
    has_more = kind is TaskKind.ANALYSIS and wants_callback(config)
    return PromptParts(
        mode="direct",
        cache_enabled=True,
        prompt_cache_key=_text(given.get("prompt_cache_key")) or key[:_MAX_KEY],
        prompt_cache_retention="24h" if given.get("prompt_cache_retention") == "24h" else "",
        cached_content=_text(given.get("cached_content"))[:_MAX_NAME],
        dynamic_runtime_prompt=_CALLBACK_PROMPT if has_more else "",
    )


def wants_callback(config: BotConfig) -> bool:
    """Return whether it is to be found out if the customer wants to be called back."""
    return config.callback_detection_enabled and config.callback_prompt_injection


def sound(config: BotConfig, kind: TaskKind, answer: dict[str, Any]) -> dict[str, Any]:
    """Return a model's answer as it came, but for the callback keys: those have their types.

    An answer that was no JSON object stays as it is.
    """
    is_raw = answer.keys() == {"raw"}
    if kind is not TaskKind.ANALYSIS or is_raw or not wants_callback(config):
        return answer
    return {
        **answer,
        "callback_requested": _truth(answer.get("callback_requested")),
        "callback_preferred_time_text": _text(answer.get("callback_preferred_time_text")),
        "callback_reason": _text(answer.get("callback_reason")),
        "callback_confidence": _share(answer.get("callback_confidence")),
    }


def by_rules(config: BotConfig, facts: Sequence[Fact]) -> dict[str, Any] | None:
    """Return what is known of a call without asking a model, for a bot whose brain is rules.

    Only where the bot wants an analysis; what its prompt asks for in particular nobody can say.
    """
    if config.llm.provider != NO_MODEL or not prompt_of(config, TaskKind.ANALYSIS):
        return None
    intents = [fact for fact in facts if isinstance(fact, IntentFound)]
    said = [
        fact.text
        for fact in facts
        if isinstance(fact, TranscriptLine) and fact.speaker == "customer"
    ]
    found: dict[str, Any] = {
        "DISPOSITION": intents[-1].name if intents else CONNECTED,
        "SUB_DISPOSITION": "",
        "CALLING_REMARKS": said[-1] if said else "",
        "source": NO_MODEL,
    }
    return found | (_callback(intents) if wants_callback(config) else {})


def _callback(intents: Sequence[IntentFound]) -> dict[str, Any]:
    asked = [intent for intent in intents if intent.name == CALLBACK_INTENT]
    slots = asked[-1].slots if asked else {}
    named = [_text(slots.get(name)) for name in ("day", "time")]
    return {
        "callback_requested": bool(asked),
        "callback_preferred_time_text": " ".join(filter(None, named)),
        "callback_reason": _text(slots.get("reason")),
        "callback_confidence": _share(asked[-1].confidence) if asked else 1.0,
    }


def _truth(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _YES
    return value is True or value == 1


def _text(value: Any) -> str:
    return template.stringify(value).strip()


def _share(value: Any) -> float:
    """Return a confidence as a number from 0 to 1; percentages are understood, nonsense is 0."""
    if isinstance(value, str):
        if percent := _PERCENT.fullmatch(value.strip()):
            return min(1.0, float(percent[1]) / 100)
        try:
            value = float(value)
        except ValueError:
            return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return float(min(1.0, max(0.0, value)))
