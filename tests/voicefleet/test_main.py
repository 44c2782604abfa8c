"""`voicefleet`: commands explain themselves, and mistakes end in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from voicefleet.__main__ import app, main


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["up", "demo", "call", "bots", "calls", "deliveries"]),
        (["bots", "--help"], ["import", "list", "show"]),
        (["calls", "--help"], ["list", "show", "result"]),
        (["deliveries", "--help"], ["list", "show", "replay"]),
        (["call", "--help"], ["--bot", "--say", "--wav", "--scenario"]),
    ],
)
def test_help_names_what_there_is(arguments: list[str], words: list[str]) -> None:
    result = CliRunner().invoke(app, arguments, env={"TERM": "dumb", "COLUMNS": "120"})
    assert result.exit_code == 0
    assert [word for word in words if word not in result.stdout] == []


@pytest.mark.parametrize("arguments", [[], ["d1", "--all"], ["d1", "--bot", "desk"]])
def test_replay_wants_to_know_what_is_meant(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["deliveries", "replay", *arguments])
    assert result.exit_code == 1
    assert "Name deliveries, or say which" in result.stderr


def test_bad_scenario_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text("- shout: hello")
    monkeypatch.setattr("sys.argv", ["voicefleet", "call", "--scenario", str(path)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "The scenario is not valid: step 1:" in capsys.readouterr().err
