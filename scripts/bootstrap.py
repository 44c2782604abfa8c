"""Sets the project up: uv, the locked environment, the servers, the browser's part.

Run by the Makefile before everything else. Only what is missing or out of date is done; a stamp
makes the ordinary case instant.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.command import CommandFailed, run_quietly
from scripts.interpreter import CHOICE, PREFERRED, PythonMissing, choose, version_of
from scripts.progress import Progress
from scripts.server import LIVEKIT, S3, Server, ServerMissing, find_or_compile
from scripts.uv import UvMissing, child_environ, find_or_fetch
from scripts.web import WebFailed
from scripts.web import build as build_web

_INPUTS = ("uv.lock", "scripts/bootstrap.py")
_TABLES = ("project", "dependency-groups", "build-system")


def stamp_of(root: Path, environ: Mapping[str, str]) -> str:
    """Return the fingerprint of everything that decides what the environment holds."""
    digest = hashlib.sha256()
    for name in _INPUTS:
        digest.update((root / name).read_bytes())
    # A linter's option in the same file is no reason to install anything.
    project = tomllib.loads((root / "pyproject.toml").read_text())
    digest.update(json.dumps([project.get(table) for table in _TABLES]).encode())
    digest.update(environ.get(CHOICE, "").encode())
    digest.update(f"{LIVEKIT.version} {S3.version}".encode())
    return digest.hexdigest()


def is_ready(root: Path, stamp: str, servers: Sequence[Server] = ()) -> bool:
    """Whether the stamp fits and what it vouches for is still there."""
    needed = [root / ".venv" / "bin" / "python", root / ".venv" / "bin" / "voicefleet"]
    needed += [server.path(root) for server in servers]
    written = root / ".venv" / "voicefleet.stamp"
    return (
        written.exists() and written.read_text() == stamp and all(path.exists() for path in needed)
    )


def build_environment(root: Path, uv: Path, environ: Mapping[str, str], stamp: str) -> None:
    """Make `.venv` hold exactly what the lock names, and this project itself, editable."""
    venv = root / ".venv"
    python = venv / "bin" / "python"
    child = child_environ(environ)
    requirements = root / ".voicefleet" / "requirements.txt"
    requirements.parent.mkdir(exist_ok=True)
    if CHOICE in environ or version_of(python) not in PREFERRED:
        run_quietly([uv, "venv", "-q", "--clear", "--python", choose(environ), venv], root, child)
    export = ["--frozen", "--no-emit-project", "--no-default-groups", "--group", "dev"]
    run_quietly([uv, "export", "-q", *export, "-o", requirements], root, child)
    with Progress("Installing the locked packages"):
        into: list[str | Path] = ["-q", "--python", python]
        run_quietly([uv, "pip", "sync", *into, "--require-hashes", requirements], root, child)
        # The build backend is itself one of the locked packages, so nothing is fetched unpinned.
        editable: list[str | Path] = ["--no-deps", "--no-build-isolation", "--editable", root]
        run_quietly([uv, "pip", "install", *into, *editable], root, child)
    (venv / "voicefleet.stamp").write_text(stamp)


def main(arguments: list[str], root: Path, environ: Mapping[str, str]) -> int:
    """Set up the environment, servers and the browser's part: `--env` for the first alone.

    With `--s3` the server that tests of recordings need is set up too.
    """
    if "--env" in arguments:
        return set_up([], root, environ)
    servers = [LIVEKIT, S3] if "--s3" in arguments else [LIVEKIT]
    return set_up(servers, root, environ) or set_up_web(root, environ)


def set_up(servers: Sequence[Server], root: Path, environ: Mapping[str, str]) -> int:
    """Set up the environment and these servers."""
    stamp = stamp_of(root, environ)
    if is_ready(root, stamp, servers):
        return 0
    try:
        uv = find_or_fetch(root, environ)
        if not is_ready(root, stamp):
            build_environment(root, uv, environ, stamp)
        for server in servers:
            find_or_compile(server, root, uv, environ)
    except (PythonMissing, ServerMissing, CommandFailed, UvMissing) as error:
        sys.stderr.write(f"\nSet-up failed. {error}\n")
        return 1
    return 0


def set_up_web(root: Path, environ: Mapping[str, str]) -> int:
    """Build the browser's part. Where that fails everything else still works, so only CI minds."""
    try:
        build_web(root, environ)
    except WebFailed as error:
        sys.stderr.write(f"\n{error}\nEverything else works without it.\n")
        return 1 if environ.get("CI") else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent.parent, os.environ))
