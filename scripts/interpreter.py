"""Which Python the environment is built with: the first of 3.12, 3.11, 3.13 that really runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PREFERRED = ("3.12", "3.11", "3.13")
CHOICE = "VOICEFLEET_PYTHON"
"""Names the interpreter to use instead, for instance to try another version."""

# A shim of a version manager exists and yet refuses to run; these modules are often left out.
_PROBE = "import ssl, sqlite3, sys; print('%d.%d' % sys.version_info[:2])"


class PythonMissing(Exception):
    """None of the supported versions runs here."""


def version_of(python: str | Path) -> str | None:
    """Return `major.minor` of an interpreter, or None if it doesn't run or lacks what we need."""
    try:
        answer = subprocess.run(
            [python, "-I", "-c", _PROBE], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def choose(environ: Mapping[str, str]) -> Path:
    """Return the interpreter to build the environment with."""
    chosen = environ.get(CHOICE)
    if chosen:
        if version_of(chosen) not in PREFERRED:
            raise PythonMissing(f"{CHOICE}={chosen} is not a working Python {_alternatives()}")
        return Path(chosen)
    for version in PREFERRED:
        for candidate in _candidates(version, environ):
            if version_of(candidate) == version:
                return candidate
    raise PythonMissing(
        f"No working Python {_alternatives()} on PATH. Install one (Debian, Ubuntu: "
        f"`apt-get install python3`), or name it: {CHOICE}=/path/to/python3.12 make …"
    )


def _candidates(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        candidate = Path(folder or ".", f"python{version}")
        if os.access(candidate, os.X_OK):
            yield candidate
    yield Path(sys.executable)


def _alternatives() -> str:
    return f"{', '.join(PREFERRED[:-1])} or {PREFERRED[-1]}"
