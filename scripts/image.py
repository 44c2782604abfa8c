"""Installs what runs, and nothing else, into one folder: what a container image is made from."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts.command import CommandFailed, run_quietly
from scripts.interpreter import PythonMissing, choose
from scripts.uv import UvMissing, child_environ, find_or_fetch


def build(root: Path, venv: Path, environ: Mapping[str, str]) -> None:
    """Make `venv` hold exactly what the lock names for running, each file by its hash."""
    uv = find_or_fetch(root, environ)
    child = child_environ(environ)
    requirements = root / ".voicefleet" / "image.txt"
    requirements.parent.mkdir(exist_ok=True)
    run_quietly([uv, "venv", "-q", "--clear", "--python", choose(environ), venv], root, child)
    export = ["--frozen", "--no-emit-project", "--no-default-groups"]
    run_quietly([uv, "export", "-q", *export, "-o", requirements], root, child)
    into: list[str | Path] = ["-q", "--python", venv / "bin" / "python"]
    # Compiled here, since those who run it may not write.
    options = ["--require-hashes", "--compile-bytecode"]
    run_quietly([uv, "pip", "sync", *into, *options, requirements], root, child)


def main(arguments: list[str], root: Path, environ: Mapping[str, str]) -> int:
    """Install into the folder that is named."""
    (venv,) = arguments
    try:
        build(root, Path(venv).absolute(), environ)
    except (PythonMissing, CommandFailed, UvMissing) as error:
        sys.stderr.write(f"\nNothing was installed. {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent.parent, os.environ))
