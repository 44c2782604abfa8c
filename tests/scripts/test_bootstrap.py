"""`scripts.bootstrap`: a stamp says when there is nothing to do."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from scripts import web
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
    (tmp_path / "web" / "dist").mkdir(parents=True)
    (tmp_path / "web" / "package-lock.json").write_text("{}")
    (tmp_path / "web" / "dist" / "stamp").write_text(web.stamp_of(tmp_path))
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


@pytest.mark.parametrize(("environ", "code"), [({}, 0), ({"CI": "true"}, 1)])
def test_only_ci_minds_that_the_browser_s_part_cannot_be_built(
    root: Path, capsys: pytest.CaptureFixture[str], environ: dict[str, str], code: int
) -> None:
    (root / "web" / "dist" / "stamp").unlink()
    broken = root / "bin" / "npm"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 1\n")
    (root / "bin" / "node").write_text("#!/bin/sh\necho v22.0.0\n")
    for program in (root / "bin").iterdir():
        program.chmod(0o755)
    path = f"{root / 'bin'}:/usr/bin:/bin"
    assert main([], root, {"PATH": path, "HOME": str(root), **environ}) == code
    assert "Everything else works without it." in capsys.readouterr().err


def test_environment_alone_does_not_ask_for_the_browser_s_part(root: Path) -> None:
    (root / "web" / "dist" / "stamp").unlink()
    assert main(["--env"], root, {"PATH": ""}) == 0


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
