"""`scripts.interpreter`: an interpreter counts only if it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts.interpreter import CHOICE, PREFERRED, PythonMissing, choose, version_of

RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"


def pretend(folder: Path, name: str, version: str | None) -> Path:
    """Put an interpreter there that says it is `version`, or one that fails like a broken shim."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    answer = f"echo {version}" if version else "echo 'not installed' >&2; exit 127"
    path.write_text(f"#!/bin/sh\n{answer}\n")
    path.chmod(0o755)
    return path


def test_first_of_the_preferred_versions_is_taken(tmp_path: Path) -> None:
    pretend(tmp_path, "python3.11", "3.11")
    pretend(tmp_path, "python3.13", "3.13")
    assert choose({"PATH": str(tmp_path)}).name in {"python3.11", Path(sys.executable).name}
    newest = pretend(tmp_path, "python3.12", "3.12")
    assert choose({"PATH": str(tmp_path)}) == newest


def test_broken_shim_is_passed_over_for_the_next_folder(tmp_path: Path) -> None:
    pretend(tmp_path / "shims", "python3.12", None)
    real = pretend(tmp_path / "usr", "python3.12", "3.12")
    assert choose({"PATH": f"{tmp_path / 'shims'}:{tmp_path / 'usr'}"}) == real


def test_interpreter_that_is_not_what_its_name_says_is_passed_over(tmp_path: Path) -> None:
    pretend(tmp_path, "python3.12", "3.9")
    assert choose({"PATH": str(tmp_path)}) == Path(sys.executable)


def test_running_interpreter_will_do_where_path_has_none(tmp_path: Path) -> None:
    assert RUNNING in PREFERRED
    assert choose({"PATH": str(tmp_path)}) == Path(sys.executable)


def test_choice_of_the_user_wins(tmp_path: Path) -> None:
    pretend(tmp_path, "python3.12", "3.12")
    chosen = pretend(tmp_path, "mine", "3.13")
    assert choose({"PATH": str(tmp_path), CHOICE: str(chosen)}) == chosen


@pytest.mark.parametrize("version", ["3.10", "3.14", None])
def test_choice_that_will_not_do_is_explained(tmp_path: Path, version: str | None) -> None:
    chosen = pretend(tmp_path, "mine", version)
    with pytest.raises(PythonMissing, match=r"mine is not a working Python 3\.12, 3\.11 or 3\.13"):
        choose({"PATH": "", CHOICE: str(chosen)})


def test_version_is_that_of_the_program() -> None:
    assert version_of(sys.executable) == RUNNING
    assert version_of("/nowhere/python3") is None
