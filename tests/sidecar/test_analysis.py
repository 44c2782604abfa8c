"""What a model is asked, what is made of its answer, and what rules know by themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.bot import BotConfig
from contracts.report import Fact, IntentFound, TranscriptLine
from contracts.task import TaskKind
from sidecar.analysis import asks, by_rules, kept, question, sound
from tests.fakes.control_plane import START

MODEL = {"provider": "openai", "api_key": "sk", "model": "gpt-4.1-mini"}
ANALYSIS, QC = TaskKind.ANALYSIS, TaskKind.QC
CALLBACK = {"callback_detection_enabled": True}


def config(**changes: Any) -> BotConfig:
    given: dict[str, Any] = {"llm": MODEL, "post_call_analysis_prompt": "What was it?", **changes}
    return BotConfig.model_validate(given)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [ANALYSIS]),
        ({"qc_prompt": "How well?"}, [ANALYSIS, QC]),
        ({"post_call_analysis_prompt": None, "qc_prompt": "How well?"}, [QC]),
        ({"post_call_analysis_prompt": "  ", "qc_prompt": ""}, []),
        ({"qc_prompt": "How well?", "llm": {"provider": "rules"}}, []),
    ],
)
def test_bot_asks_what_it_has_a_prompt_for(
    changes: dict[str, Any], expected: list[TaskKind]
) -> None:
    assert asks(config(**changes)) == expected


def test_question_is_the_prompt_with_its_templates_resolved() -> None:
    asked = config(post_call_analysis_prompt="Did {{crm.name}} pay? {{unknown}}", qc_prompt="Q?")
    assert question(asked, ANALYSIS, {"crm.name": "Sam"}) == "Did Sam pay? {{unknown}}"
    assert question(asked, QC, {}) == "Q?"


@pytest.mark.parametrize(
    ("gates", "is_asked"),
    [
        ({}, False),
        (CALLBACK, True),
        ({**CALLBACK, "callback_prompt_injection": False}, False),
        ({"callback_prompt_injection": True}, False),
    ],
)
def test_callback_is_asked_for_where_both_gates_are_open(
    gates: dict[str, Any], is_asked: bool
) -> None:
    bot = config(qc_prompt="Q?", **gates)
    assert ("callback_requested" in question(bot, ANALYSIS, {})) is is_asked
    assert question(bot, QC, {}) == "Q?"
    assert ("callback_requested" in sound(bot, ANALYSIS, {"A": 1})) is is_asked


@pytest.mark.parametrize(
    ("said", "requested", "confidence"),
    [
        ({"callback_requested": True, "callback_confidence": 0.75}, True, 0.75),
        ({"callback_requested": "Yes", "callback_confidence": "80%"}, True, 0.8),
        ({"callback_requested": "no", "callback_confidence": "0.4"}, False, 0.4),
        ({"callback_requested": 1, "callback_confidence": 7}, True, 1.0),
        ({"callback_requested": None, "callback_confidence": -1}, False, 0.0),
        ({"callback_requested": [], "callback_confidence": "very"}, False, 0.0),
        ({"callback_requested": {}, "callback_confidence": True}, False, 0.0),
        ({"callback_confidence": "inf"}, False, 0.0),
        ({"callback_confidence": "nan%"}, False, 0.0),
    ],
)
def test_callback_keys_get_their_types(
    said: dict[str, Any], requested: bool, confidence: float
) -> None:
    found = sound(config(**CALLBACK), ANALYSIS, {"DISPOSITION": "X", **said})
    assert found == {
        "DISPOSITION": "X",
        "callback_requested": requested,
        "callback_preferred_time_text": "",
        "callback_reason": "",
        "callback_confidence": confidence,
    }


def test_callback_texts_are_texts() -> None:
    said = {"callback_preferred_time_text": " at five ", "callback_reason": ["busy"]}
    found = sound(config(**CALLBACK), ANALYSIS, said)
    assert found["callback_preferred_time_text"] == "at five"
    assert found["callback_reason"] == '["busy"]'


@pytest.mark.parametrize(
    ("kind", "answer"),
    [(ANALYSIS, {"raw": "I cannot say."}), (QC, {"empathy_score": "7/10", "remarks": None})],
)
def test_everything_else_stays_as_it_came(kind: TaskKind, answer: dict[str, Any]) -> None:
    assert sound(config(**CALLBACK), kind, answer) == answer


def line(speaker: Any, text: str) -> Fact:
    return TranscriptLine(at=START, speaker=speaker, text=text)


def intent(name: str, **slots: str) -> Fact:
    at = START + timedelta(seconds=1)
    return IntentFound(at=at, name=name, confidence=0.9, slots=slots)


def test_rules_tell_what_was_wanted_last_and_said_last() -> None:
    bot = config(llm={"provider": "rules"})
    facts = [
        line("customer", "I want to book."),
        intent("book"),
        line("customer", "Cancel it."),
        intent("cancel"),
        line("bot", "It is cancelled."),
    ]
    assert by_rules(bot, facts) == {
        "DISPOSITION": "cancel",
        "SUB_DISPOSITION": "",
        "CALLING_REMARKS": "Cancel it.",
        "source": "rules",
    }
    assert by_rules(bot, [line("customer", "Hm.")]) == {
        "DISPOSITION": "Connected",
        "SUB_DISPOSITION": "",
        "CALLING_REMARKS": "Hm.",
        "source": "rules",
    }


def test_rules_know_a_callback_by_its_intent() -> None:
    bot = config(llm={"provider": "rules"}, **CALLBACK)
    asked = by_rules(bot, [intent("callback", day="Friday", time="17:00", reason="driving")])
    assert asked is not None
    assert {key: value for key, value in asked.items() if key.startswith("callback")} == {
        "callback_requested": True,
        "callback_preferred_time_text": "Friday 17:00",
        "callback_reason": "driving",
        "callback_confidence": 0.9,
    }
    not_asked = by_rules(bot, [intent("book")])
    assert not_asked is not None
    assert (not_asked["callback_requested"], not_asked["callback_confidence"]) == (False, 1.0)


@pytest.mark.parametrize(
    "changes", [{"post_call_analysis_prompt": None, "llm": {"provider": "rules"}}, {}]
)
def test_rules_answer_only_for_bots_of_theirs_that_want_an_analysis(
    changes: dict[str, Any],
) -> None:
    assert by_rules(config(**changes), [intent("book")]) is None


@pytest.mark.parametrize(
    ("hints", "kind", "key", "retention", "name"),
    [
        (None, QC, "desk-qc-v3", "", ""),
        ({"prompt_cache_key": "mine", "prompt_cache_retention": "24h"}, QC, "mine", "24h", ""),
        ({"prompt_cache_retention": "for ever", "cached_content": None}, QC, "desk-qc-v3", "", ""),
        ({"qc": {"cached_content": "cachedContents/q"}}, QC, "desk-qc-v3", "", "cachedContents/q"),
        ({"qc": {"cached_content": "cachedContents/q"}}, ANALYSIS, "desk-analysis-v3", "", ""),
    ],
)
def test_prompt_of_a_question_is_kept_as_the_bot_says(
    hints: dict[str, Any] | None, kind: TaskKind, key: str, retention: str, name: str
) -> None:
    bot = config(
        bot_id="desk",
        post_call_cache_enabled=True,
        post_call_cache_version="v3",
        post_call_cache=hints,
    )
    parts = kept(bot, kind)
    assert parts is not None
    assert parts.is_live
    found = (parts.prompt_cache_key, parts.prompt_cache_retention, parts.cached_content)
    assert found == (key, retention, name)


def test_what_no_cache_can_hold_is_said_beside_it() -> None:
    bot = config(bot_id="desk", post_call_cache_enabled=True, **CALLBACK)
    parts, other = kept(bot, ANALYSIS), kept(bot, QC)
    assert parts is not None
    assert other is not None
    assert "callback_requested" in parts.dynamic_runtime_prompt
    assert other.dynamic_runtime_prompt == ""
    assert parts.prompt_cache_key == "desk-analysis"


def test_no_prompt_is_kept_unless_the_bot_wants_it() -> None:
    assert kept(config(post_call_cache={"cached_content": "c"}), ANALYSIS) is None
