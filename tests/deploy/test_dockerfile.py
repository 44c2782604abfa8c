"""The Dockerfile keeps its rules; its long step is run here, where there is no engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.image import main
from tests.deploy.composition import ROOT, load
from tests.deploy.test_composition import OPEN, OURS, secrets

ENVIRON = dict(os.environ)
"""Taken before tests are shielded from it: which index to ask stands there."""
LINES = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text()).splitlines()
STEPS = [tuple(line.split(None, 1)) for line in LINES if line and not line.startswith("#")]
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()


def steps(name: str) -> list[str]:
    return [words for step, words in STEPS if step == name]


def test_stages_begin_at_one_exact_image() -> None:
    bases = {words.split()[0] for words in steps("FROM")}
    assert len(steps("FROM")) == 3
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.12\.[0-9]+-slim-[a-z]+", bases.pop())


def test_it_ends_as_a_user_without_rights() -> None:
    names = [name for name, _ in STEPS]
    assert steps("USER") == ["10001:10001"]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("RUN", "COPY"))


def test_what_it_copies_is_there_and_is_all_that_the_builder_is_sent() -> None:
    copied = [words.split()[:-1] for words in steps("COPY") if not words.startswith("--from")]
    sources = {source for each in copied for source in each}
    assert [source for source in sources if not (ROOT / source).exists()] == []
    allowed = {line.removeprefix("!") for line in IGNORED if line.startswith("!")}
    assert IGNORED[1] == "*"
    assert allowed == sources


def test_every_part_of_the_composition_is_in_it() -> None:
    services = load({**secrets(), **OPEN})["services"]
    copied = {words.split()[0] for words in steps("COPY")}
    modules = {services[name]["command"][-1] for name in OURS}
    assert modules == {"sidecar", "bridges", "bridges.sip", "agent"}
    assert {module.partition(".")[0] for module in modules} <= copied
    for name in OURS:
        folder = services[name]["volumes"][0].partition(":")[2]
        assert any(folder in words for words in steps("RUN")), folder


def test_the_browser_s_part_is_built_in_it_and_lies_where_the_sidecar_looks() -> None:
    assert "python -m scripts.web build" in steps("RUN")
    assert "--from=web /src/web/dist web/dist" in steps("COPY")
    assert {"web/node_modules", "web/dist"} <= set(IGNORED)


def test_locked_packages_are_all_that_the_parts_need(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its one long step, as it stands there, and the parts imported on what came of it."""
    (command,) = [words for words in steps("RUN") if "scripts.image" in words]
    assert command == "python -m scripts.image /opt/voicefleet"
    assert main([str(tmp_path / "venv")], ROOT, ENVIRON) == 0, capfd.readouterr().err
    parts = ("agent", "bridges", "bridges.sip", "sidecar", "voicefleet")
    modules = ", ".join([*(f"{part}.__main__" for part in parts), "agent.job", "bridges.sip.media"])
    python = tmp_path / "venv" / "bin" / "python"
    environ = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run(
        [python, "-c", f"import {modules}"], check=True, cwd=tmp_path, env=environ, timeout=60
    )
    tools = subprocess.run([python, "-c", "import pytest"], capture_output=True, check=False)
    assert tools.returncode != 0


def test_healthy_says_what_is_wrong() -> None:
    healthy = [sys.executable, str(ROOT / "deploy" / "healthy.py")]
    nobody = subprocess.run(
        [*healthy, "http://127.0.0.1:9/health"], capture_output=True, text=True, check=False
    )
    assert nobody.returncode == 1
    assert "127.0.0.1:9" in nobody.stderr
