"""`voicefleet.demo`: its folder, its script, and what it says when it fails."""

from __future__ import annotations

import os
from pathlib import Path

from voicefleet import demo
from voicefleet.script import HangUp, parse_scenario

ROOT = Path(__file__).parents[2]


def test_runs_have_folders_of_their_own_and_old_ones_go(tmp_path: Path) -> None:
    old = demo.fresh_folder(tmp_path / "demo")
    os.utime(old, (0, 0))
    first, second = demo.fresh_folder(tmp_path / "demo"), demo.fresh_folder(tmp_path / "demo")
    assert first != second
    assert sorted((tmp_path / "demo").iterdir()) == sorted([first, second])


def test_script_calls_a_bot_of_ours_and_hangs_up() -> None:
    scenario = parse_scenario(demo.SCENARIO.read_text(), demo.SCENARIO.parent)
    assert (ROOT / "bots" / f"{scenario.bot}.yaml").exists()
    assert isinstance(scenario.steps[-1], HangUp)


def test_failure_shows_the_end_of_the_log_and_what_to_do(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    text = demo.explained(ValueError("no luck"), log)
    assert text.startswith("The demo failed: no luck\n")
    assert "line 99" in text
    assert "line 50" not in text
    assert str(log) in text
    assert "Run `make demo` again" in text
