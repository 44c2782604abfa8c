"""`contracts.rules`: what an operator may write, and how mistakes are told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from contracts.bot import BotConfig
from contracts.rules import (
    CalendarTool,
    Intent,
    RulesConfig,
    Slot,
    StaticTool,
    Step,
    TableTool,
    Talk,
)

SLOT: dict[str, Any] = {"type": "date", "prompt": "Which day?"}


def flow(*steps: dict[str, Any], **rules: Any) -> RulesConfig:
    return RulesConfig.model_validate(
        {"slots": {"day": SLOT}, "flows": {"main": list(steps), "other": []}, **rules}
    )


def test_empty_rules_are_a_bot() -> None:
    assert RulesConfig.model_validate({}).talk.fallback


def test_one_line_is_a_list_of_one() -> None:
    rules = flow({"say": "Hello."}, {"say": ["Hi.", "Hey."]})
    assert [step.say for step in rules.flows["main"]] == [["Hello."], ["Hi.", "Hey."]]


def test_what_yaml_takes_for_something_else_is_text() -> None:
    text = """
    slots:
      more: {type: choice, prompt: "Which?", choices: {yes: [12], no: [off]}}
    flows:
      main:
        - {if: {slot.more: yes}, say: No}
        - {set: {count: 3}}
    tools:
      note: {kind: static, result: {done: yes, share: 0.5}}
    """
    rules = RulesConfig.model_validate(yaml.safe_load(text))
    assert rules.slots["more"].choices == {"yes": ["12"], "no": ["no"]}
    step, other = rules.flows["main"]
    assert (step.if_, step.say, other.set) == ({"slot.more": ["yes"]}, ["no"], {"count": "3"})
    tool = rules.tools["note"]
    assert isinstance(tool, StaticTool)
    assert tool.result == {"done": "yes", "share": "0.5"}


def test_intent_may_be_a_pattern_that_is_only_reported() -> None:
    rules = flow(intents=[{"name": "thanks", "patterns": [r"\bthank(s| you)\b"]}])
    assert (rules.intents[0].patterns, rules.intents[0].go) == ([r"\bthank(s| you)\b"], "")


def test_targets_name_every_flow_a_step_leads_to() -> None:
    answers = [{"phrases": ["maybe"], "go": "other"}]
    rules = flow({"question": "Well?", "if_yes": "main", "if_no": "other", "answers": answers})
    assert rules.flows["main"][0].targets == ["main", "other", "other"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({}, "a step needs say or one of"),
        ({"ask": "day", "go": "other"}, "one thing, not ask and go"),
        ({"retry": "day"}, "retry needs say"),
        ({"say": "Hi.", "if_yes": "other"}, "belong to a question"),
        ({"say": "Hi.", "if_no": "other"}, "belongs to a question or confirm"),
        ({"say": "Hi.", "tell": "x"}, "Extra inputs"),
        ({"go": "nowhere"}, "flow main, step 1: there is no flow 'nowhere'"),
        ({"question": "?", "if_yes": "nowhere"}, "there is no flow 'nowhere'"),
        ({"ask": "night"}, "flow main, step 1: there is no slot 'night'"),
        ({"clear": ["night"]}, "there is no slot 'night'"),
        ({"call": "note", "with": ["night"]}, "there is no slot 'night'"),
        ({"call": "end_call"}, "use end or transfer"),
    ],
)
def test_mistake_in_a_step_is_told(step: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        flow(step)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"start": "nowhere"}, "start: there is no flow 'nowhere'"),
        ({"intents": [{"name": "a", "phrases": ["b"], "go": "nowhere"}]}, "intent a: there is no"),
        ({"intents": [{"name": "a", "go": "main"}]}, "give phrases, patterns or digits"),
        ({"intents": [{"name": "a", "phrases": ["b"]}] * 2}, "names must be unique"),
        ({"intents": [{"name": "a", "patterns": ["("]}]}, "not a regular expression"),
        ({"tools": {"end_call": {"kind": "static"}}}, "end_call is built in"),
        ({"faq": [{"questions": [], "answer": "x"}]}, "at least 1 item"),
        ({"slots": {"x": {"type": "choice", "prompt": "?"}}}, "choices: needed for type choice"),
        ({"slots": {"x": {**SLOT, "choices": {"a": []}}}}, "for no other type"),
        ({"slots": {"x": {**SLOT, "min_digits": 9, "max_digits": 8}}}, "min_digits is above"),
    ],
)
def test_mistake_in_the_rules_is_told(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        flow(**rules)


@pytest.mark.parametrize(
    ("calendar", "message"),
    [
        ({"open": {"funday": ["09:00-10:00"]}}, "not a weekday"),
        ({"open": {"monday": ["09:00"]}}, "not a range"),
        ({"open": {"monday": ["12:00-09:00"]}}, "not a range"),
        ({"open": {}, "taken": {"monday": ["noon"]}}, "Invalid isoformat"),
    ],
)
def test_mistake_in_a_calendar_is_told(calendar: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CalendarTool.model_validate({"kind": "calendar", **calendar})


def test_kind_of_a_tool_is_told_apart() -> None:
    tools = {
        "a": {"kind": "static"},
        "b": {"kind": "table", "arguments": ["id"], "rows": [{"id": 1}]},
        "c": {"kind": "calendar", "open": {"monday": ["09:00-17:00"]}},
    }
    rules = RulesConfig.model_validate({"tools": tools})
    kinds = [type(tool) for tool in rules.tools.values()]
    assert kinds == [StaticTool, TableTool, CalendarTool]


def test_page_shows_a_bot_that_can_be_saved_and_names_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    example = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    bot = BotConfig.model_validate(yaml.safe_load(example[1]))
    assert RulesConfig.model_validate(bot.llm.rules).flows
    for model in (Intent, Slot, Step, Talk, RulesConfig):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}" in page or f"{field.alias or name}:" in page, name
