"""What a machine lacks: a skip that names it, a failure where it is required, as it is in CI."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fakes.missing import Required, missing

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("value", ["", "0"])
def test_what_is_missing_is_skipped_by_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(Required.REDIS, value)
    with pytest.raises(pytest.skip.Exception, match="no Redis: install redis-server"):
        missing(Required.REDIS, "Redis: install redis-server")


def test_what_is_missing_is_a_failure_where_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(Required.REDIS, "1")
    with pytest.raises(pytest.fail.Exception, match="REQUIRE_REDIS=1, but there is no Redis"):
        missing(Required.REDIS, "Redis")


@pytest.mark.parametrize("required", Required)
def test_gate_requires_everything_and_developers_are_told(required: Required) -> None:
    gate = (ROOT / ".ci" / "run").read_text()
    (exported,) = re.findall(r"^export (REQUIRE_.*)$", gate, re.MULTILINE)
    assert f"{required}=1" in exported.split()
    assert f"`{required}=1`" in (ROOT / "CONTRIBUTING.md").read_text()
