"""Where and of what a figure was taken: commit, machine, time; and where its samples are kept."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OUT = ROOT / "bench" / "out"


def keep(name: str, measured: Mapping[str, Any]) -> Path:
    """Write what was measured, and where and when, to `bench/out/{name}.json`; return the file."""
    taken = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
    }
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{name}.json"
    path.write_text(json.dumps({**taken, **measured}, indent=1) + "\n")
    return path


def commit() -> str:
    """Return the commit, marked where files differ from it."""
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return asked.stdout.strip()


def machine() -> str:
    """Return cores, processor and Python."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}"
