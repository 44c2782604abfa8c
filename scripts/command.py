"""Runs a program of the set-up and keeps quiet unless it fails."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class CommandFailed(Exception):
    """A step's program failed; the message is its own last words."""


def run_quietly(command: Sequence[str | Path], root: Path, environ: Mapping[str, str]) -> None:
    """Run a program in `root` to its end.

    Raises:
        CommandFailed: it ended with another code than 0.
    """
    done = subprocess.run(
        command,
        cwd=root,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = " ".join(map(str, command[:3]))
        raise CommandFailed(
            f"`{words} …` failed with code {done.returncode}:\n{done.stdout.strip()}"
        )
