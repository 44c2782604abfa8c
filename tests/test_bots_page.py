"""Docs of bots: every field has its row, and every example is a bot that can be saved."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from contracts.bot import ActiveHours, BotConfig
from contracts.open import unread
from contracts.vendor.choice import complaints, ignored_options, unprompted

DOCS = Path(__file__).parents[1] / "docs"
PAGES = (
    *("aftercall", "bots", "crm", "exotel", "knowledge", "manners", "providers", "realtime"),
    *("speech", "tools", "voicemail"),
)
EXAMPLE = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)


def row(name: str, schema: dict[str, Any], default: Any) -> str:
    kinds = [each.get("type", "object") for each in schema.get("anyOf", [schema])]
    shown = "{}" if isinstance(default, BaseModel) else json.dumps(default)
    return f"| `{name}` | {' or '.join(kinds)} | `{shown}` | "


def test_every_field_of_a_bot_has_its_row() -> None:
    lines = (DOCS / "bots.md").read_text().splitlines()
    schemas = BotConfig.model_json_schema()["properties"]
    config = BotConfig()
    rows = [row(name, schemas[name], getattr(config, name)) for name in BotConfig.model_fields]
    assert [each for each in rows if sum(line.startswith(each) for line in lines) != 1] == []


def test_every_key_of_the_active_hours_has_its_row() -> None:
    text = (DOCS / "bots.md").read_text().partition("## `active_hours`")[2]
    assert [name for name in ActiveHours.model_fields if f"| `{name}` |" not in text] == []


def examples() -> list[Any]:
    """Return each example that is a bot's config or one choice of a vendor, as a config."""
    found = []
    for name in PAGES:
        for number, block in enumerate(EXAMPLE.findall((DOCS / f"{name}.md").read_text())):
            example = json.loads(block)
            if "provider" in example:
                example = {"llm": example}
            if BotConfig.model_fields.keys() & example.keys():
                found.append(pytest.param(example, id=f"{name}-{number}"))
    return found


@pytest.mark.parametrize("example", examples())
def test_example_is_a_bot_that_can_be_saved(example: dict[str, Any]) -> None:
    config = BotConfig.model_validate(example)
    assert [*complaints(config), *unprompted(config), *ignored_options(config)] == []
    assert list(unread(config)) == []


def test_examples_are_looked_at() -> None:
    names = {each.id.partition("-")[0] for each in examples()}
    assert names == set(PAGES)
