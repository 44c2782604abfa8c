"""The peer's own environment: `.voicefleet/peer`, exactly what `requirements.txt` names.

Installed as the project's own is: by hash, from whatever index this machine is configured for.
Nothing is built: every package comes as a wheel, the peer's model weights in its own.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts.command import run_quietly
from scripts.uv import child_environ, find_or_fetch

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def install_peer(root: Path, environ: Mapping[str, str]) -> Path:
    """Return the environment's Python; a stamp makes the ordinary case instant.

    Raises:
        CommandFailed: a package could not be had.
    """
    folder = root / ".voicefleet" / "peer"
    python = folder / "bin" / "python"
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    uv = find_or_fetch(root, environ)
    child = child_environ(environ)
    run_quietly([uv, "venv", "-q", "--clear", "--python", sys.executable, folder], root, child)
    sync: list[str | Path] = [uv, "pip", "sync", "-q", "--require-hashes", "--no-build"]
    run_quietly([*sync, "--python", python, REQUIREMENTS], root, child)
    stamp.write_text(wanted)
    return python
