"""What `docs` and `ruff` cannot hold: sizes, names, and a test module for each module."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agent", "bench", "bridges", "contracts", "scripts", "sidecar", "voicefleet")
MOST_LINES = 400
BANNED_NAMES = {
    "utils", "helpers", "common", "base", "manager", "handler", "service", "processor",
}  # fmt: skip
TESTED_ONE_TO_ONE = ("contracts", "bridges/wire")
"""Trees in which every module has its own test module."""


def modules(*folders: str) -> list[Path]:
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in paths if "versions" not in path.parts)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(*PACKAGES, "tests"), ids=name_of)
def test_module_is_of_readable_size(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=name_of)
def test_module_is_named_after_a_thing(path: Path) -> None:
    assert path.stem not in BANNED_NAMES
    assert path.stem.strip("_").islower()


@pytest.mark.parametrize("path", modules(*PACKAGES, "tests"), ids=name_of)
def test_module_opens_with_a_sentence(path: Path) -> None:
    source = path.read_text()
    if not source and path.stem == "__init__":
        return
    docstring = ast.get_docstring(ast.parse(source)) or ""
    first = docstring.split("\n\n")[0]
    assert first.endswith((".", ":", "…")), f"{name_of(path)}: {first!r}"


@pytest.mark.parametrize("path", modules(*TESTED_ONE_TO_ONE), ids=name_of)
def test_module_has_its_test_module(path: Path) -> None:
    if path.stem == "__init__":
        return
    own = ROOT / "tests" / path.relative_to(ROOT).with_name(f"test_{path.stem}.py")
    assert own.exists(), f"{name_of(own)} is missing"


@pytest.mark.parametrize("path", modules("tests/contracts", "tests/bridges/wire"), ids=name_of)
def test_test_module_has_its_module(path: Path) -> None:
    tested = path.relative_to(ROOT / "tests").with_name(path.name.removeprefix("test_"))
    assert (ROOT / tested).exists(), f"{tested} is gone"


def test_no_address_of_an_index_is_committed() -> None:
    """Which index a machine uses is its owner's affair: docs/decisions/lock.md."""
    lock = (ROOT / "uv.lock").read_text()
    assert set(re.findall(r"https?://([^/\"]+)", lock)) == {"index.invalid"}
    # Spelt in parts, so that this file is not the one that breaks the rule.
    hosts = ["pypi" + ".org", "python" + "hosted", "proxy.go" + "lang", "registry." + "npmjs"]
    tracked = subprocess.run(
        ["git", "grep", "-lIE", "|".join(map(re.escape, hosts))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tracked.stdout == ""


def test_lock_is_of_this_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    own = next(package for package in lock["package"] if package["name"] == "voicefleet")
    direct = {re.split(r"[<>=!~ \[;]", each)[0] for each in project["project"]["dependencies"]}
    assert {each["name"] for each in own["dependencies"]} == direct
    for group, requirements in project["dependency-groups"].items():
        wanted = {re.split(r"[<>=!~ \[;]", each)[0] for each in requirements}
        assert {each["name"] for each in own["dev-dependencies"][group]} == wanted
