"""The base of every part of a config."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, ValidationError

from contracts.open import Open, unread


def test_unknown_keys_are_kept_and_nothing_changes() -> None:
    part = Open.model_validate({"newer": 1})
    assert part.model_dump() == {"newer": 1}
    with pytest.raises(ValidationError):
        setattr(part, "newer", 2)  # noqa: B010 - mypy knows of no such field


class Inner(Open):
    known: int = 0


class Outer(Open):
    inner: Inner = Inner()
    listed: list[Inner] = Field(default_factory=list)
    named: dict[str, Inner] = Field(default_factory=dict)
    anything: dict[str, Any] = Field(default_factory=dict)


def test_keys_that_nothing_reads_are_told_by_their_paths() -> None:
    part = Outer.model_validate(
        {
            "newer": 1,
            "inner": {"known": 1, "knwon": 1},
            "listed": [{}, {"odd": {"deep": 1}}],
            "named": {"hi": {"odd": 1}},
            "anything": {"goes": 1},
        }
    )
    assert list(unread(part)) == ["newer", "inner.knwon", "listed.1.odd", "named.hi.odd"]
    assert list(unread(part.inner, "llm.")) == ["llm.knwon"]
    assert list(unread(Outer())) == []
