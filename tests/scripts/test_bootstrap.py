"""`scripts.bootstrap`: a stamp says when there is nothing to do."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from scripts.bootstrap import is_ready, main, stamp_of
from scripts.interpreter import CHOICE
from scripts.progress import Progress
from scripts.server import LIVEKIT, S3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that is set up."""
    for name in ("uv.lock", "pyproject.toml", "scripts/bootstrap.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    for name in (".venv/bin/python", ".venv/bin/voicefleet", ".voicefleet/bin/livekit-server"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".venv" / "voicefleet.stamp").write_text(stamp_of(tmp_path, {}))
    return tmp_path


def test_nothing_is_done_where_the_stamp_fits(root: Path) -> None:
    assert main([], root, {"PATH": ""}) == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv.lock", "changed"),
        ("pyproject.toml", "[dependency-groups]\ndev = ['six']"),
        ("scripts/bootstrap.py", "changed"),
    ],
)
def test_stamp_follows_what_decides_the_environment(root: Path, name: str, text: str) -> None:
    before = stamp_of(root, {})
    (root / name).write_text(text)
    assert stamp_of(root, {}) != before
    assert not is_ready(root, stamp_of(root, {}))


def test_stamp_does_not_follow_a_tool_option(root: Path) -> None:
    before = stamp_of(root, {})
    (root / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100")
    assert stamp_of(root, {}) == before


def test_stamp_follows_the_chosen_interpreter(root: Path) -> None:
    assert stamp_of(root, {CHOICE: "/usr/bin/python3.13"}) != stamp_of(root, {})


@pytest.mark.parametrize("name", [".venv/bin/python", ".venv/bin/voicefleet"])
def test_what_is_gone_is_made_again(root: Path, name: str) -> None:
    (root / name).unlink()
    assert not is_ready(root, stamp_of(root, {}))


def test_server_is_asked_for_only_where_it_is_needed(root: Path) -> None:
    (root / ".voicefleet" / "bin" / "livekit-server").unlink()
    assert is_ready(root, stamp_of(root, {}))
    assert not is_ready(root, stamp_of(root, {}), [LIVEKIT])


def test_server_of_the_tests_is_asked_for_by_them_alone(root: Path) -> None:
    assert main([], root, {"PATH": ""}) == 0
    assert not is_ready(root, stamp_of(root, {}), [LIVEKIT, S3])
    S3.path(root).touch()
    assert main(["--s3"], root, {"PATH": ""}) == 0


def test_failure_is_one_message_and_a_code(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / ".venv" / "bin" / "python").unlink()
    (root / "uv.lock").write_text('[[package]]\nname = "uv"\nversion = "1"\nwheels = []\n')
    assert main([], root, {"PATH": ""}) == 1
    assert "Set-up failed. Could not get uv." in capsys.readouterr().err


def test_quick_step_says_nothing() -> None:
    stream = io.StringIO()
    with Progress("Thinking", stream):
        pass
    assert stream.getvalue() == ""


def test_failed_step_is_named() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyError), Progress("Thinking", stream):
        raise KeyError
    assert stream.getvalue() == "✗ Thinking failed after 0 s\n"
