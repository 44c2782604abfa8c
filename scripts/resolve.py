"""`make lock`: resolves the dependencies anew and takes every address out of `uv.lock`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts.lock import scrub
from scripts.progress import Progress
from scripts.uv import UvMissing, child_environ, find_or_fetch


def main(arguments: list[str], root: Path, environ: Mapping[str, str]) -> int:
    """Run `uv lock` with `arguments`; the lock is scrubbed even where that fails half-way."""
    try:
        uv = find_or_fetch(root, environ)
    except UvMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    path = root / "uv.lock"
    with Progress("Resolving the dependencies"):
        resolved = subprocess.run(
            [uv, "lock", *arguments],
            cwd=root,
            env=child_environ(environ),
            stdin=subprocess.DEVNULL,
            check=False,
        )
    path.write_text(scrub(path.read_text()))
    return resolved.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent.parent, os.environ))
