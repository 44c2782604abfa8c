"""`scripts.server`: the right servers are recognised; Go is given what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.server import LIVEKIT, S3, Server, compile_environ, find_or_compile, parse_go_version

ANSWERS = {
    LIVEKIT: "livekit-server version {}",
    S3: "Version  : {}\nBuild    : norev\nBuildTime: none",
}


def program(path: Path, server: Server, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{ANSWERS[server].format(version)}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("server", ANSWERS)
def test_own_server_is_used(tmp_path: Path, server: Server) -> None:
    own = program(server.path(tmp_path), server, server.version)
    assert find_or_compile(server, tmp_path, Path("uv"), {"PATH": ""}) == own


@pytest.mark.parametrize("server", ANSWERS)
@pytest.mark.parametrize("prefix", ["", "v"])
def test_server_on_path_is_linked_when_its_version_is_right(
    tmp_path: Path, server: Server, prefix: str
) -> None:
    theirs = program(tmp_path / "bin" / server.name, server, prefix + server.version)
    program(server.path(tmp_path), server, "1.0.0")
    own = find_or_compile(server, tmp_path, Path("uv"), {"PATH": str(tmp_path / "bin")})
    assert own.resolve() == theirs


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.19.8 linux/amd64", (1, 19)),
        ("go version devel go1.27-abc linux/amd64", (1, 27)),
        ("gccgo", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_version_of_go_is_read(text: str, version: tuple[int, int]) -> None:
    assert parse_go_version(text) == version


def test_go_may_fetch_its_newer_self_and_needs_no_c_compiler(tmp_path: Path) -> None:
    child = compile_environ({"GOTOOLCHAIN": "local", "HOME": str(tmp_path)}, tmp_path, tmp_path)
    assert (child["GOTOOLCHAIN"], child["CGO_ENABLED"]) == ("auto", "0")
    assert child["HOME"] == str(tmp_path)


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "/nonexistent"}])
def test_go_caches_in_the_project_where_there_is_no_home(
    environ: dict[str, str], tmp_path: Path
) -> None:
    child = compile_environ(environ, tmp_path, tmp_path)
    assert child["HOME"] == str(tmp_path / ".voicefleet" / "go")
