"""The peer's own environment: `.voicefleet/peer`, exactly what `requirements.txt` names.

Installed as the project's own is: by hash, from whatever index this machine is configured for.
Nothing is built: every package comes as a wheel, the peer's model weights in its own.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts.uv import child_environ, find_or_fetch

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


class InstallFailed(Exception):
    """The environment could not be made; the message is the installer's own."""


def install_peer(root: Path, environ: Mapping[str, str]) -> Path:
    """Return the environment's Python; a stamp makes the ordinary case instant.

    Raises:
        InstallFailed: a package could not be had.
    """
    folder = root / ".voicefleet" / "peer"
    python = folder / "bin" / "python"
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    uv = find_or_fetch(root, environ)
    child = child_environ(environ)
    _run([uv, "venv", "-q", "--clear", "--python", sys.executable, folder], child)
    sync: list[str | Path] = [uv, "pip", "sync", "-q", "--require-hashes", "--no-build"]
    _run([*sync, "--python", python, REQUIREMENTS], child)
    stamp.write_text(wanted)
    return python


def _run(command: list[str | Path], environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise InstallFailed(done.stdout.strip())
